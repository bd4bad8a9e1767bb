"""Every misbehaviour of a site ends in the right state of the ledger, and nothing else is lost."""

import json
from pathlib import Path

import pytest

from curation.tables import ShardedTable
from sandbox.sites.faults import KINDS
from sandbox.sites.server import ServeOptions, serving
from tests.crawlers.commands import crawl, hits, ledger
from tests.sandbox.tiny import TinyProduct, tiny_world

PLAIN = ("--browser", "/none", "--retries", "1", "--timeout", "5", "--blocks", "0-1")
PAGES = {
    "429": "failed:http_429",
    "503": "failed:http_503",
    "500": "failed:http_500",
    "slow": "done",
    "truncate": "failed",
    "drop": "failed",
    "endless": "failed",
    "redirect-inside": "failed:refused",
    "redirect-loopback": "failed:refused",
    "redirect-forbidden": "excluded:robots",
    "redirect-loop": "failed:refused",
    "wall": "failed:page_shape",
    "shell": "failed:page_shape",
    "hang": "failed:page_shape",
    "markup": "failed:page_shape",
}
"""Fault of a post's page → its state, for a crawl without a browser."""
PICTURES = {
    "429": "failed:photo_http_error",
    "503": "failed:photo_http_error",
    "500": "failed:photo_http_error",
    "truncate": "failed:photo_transfer",
    "drop": "failed:photo_transfer",
    "endless": "empty:photo_too_many_bytes",
    "redirect-inside": "failed:photo_not_captured",
    "redirect-loopback": "failed:photo_not_captured",
    "redirect-forbidden": "failed:photo_not_captured",
    "redirect-loop": "failed:photo_not_captured",
}
"""Fault of a post's only photo → the post's state."""
RENDERED = {
    "hang": "failed",
    "500": "failed:http_500",
    "drop": "failed",
    "redirect-inside": "failed:refused",
    "redirect-loopback": "failed:refused",
    "redirect-forbidden": "excluded:robots",
    "wall": "failed:page_shape",
    "markup": "failed:page_shape",
}


def check(out: Path, site: str, expected: dict[int, str]) -> None:
    """Each id is in the expected state, and all the others are done."""
    found = ledger(out, site)
    for post_id, state in found.items():
        wanted = expected.get(post_id, "done")
        assert state == wanted or (wanted == "failed" and state.startswith("failed:")), (post_id, state, wanted)
    rows = ShardedTable(out / "ledger", site).table().to_pylist()
    assert all(row["message"] for row in rows if row["state"] == "failed")


def test_pages__each_fault_is_known() -> None:
    assert set(PAGES) == set(KINDS)


def test_kream__faulty_pages(tmp_path: Path) -> None:
    faults = dict(enumerate(PAGES, 2))
    paths = {f"/social/posts/{post_id}": kind for post_id, kind in faults.items()}
    with serving(tiny_world(18), ServeOptions(paths=paths, retry_after=0)) as server:
        crawl("kream", server.urls["kream"], tmp_path, *PLAIN)
    assert list(ledger(tmp_path, "kream")) == list(range(1, 19))
    check(tmp_path, "kream", {post_id: PAGES[kind] for post_id, kind in faults.items()})


def test_kream__faulty_pictures_and_their_recovery(tmp_path: Path) -> None:
    world = tiny_world(24)
    faults = dict(zip(range(2, 24, 2), PICTURES, strict=False))  # even ids have one photo
    with serving(world) as server:
        crawl("kream", server.urls["kream"], tmp_path / "calm", *PLAIN, "--blocks", "0-2")
    rows = ShardedTable(tmp_path / "calm" / "posts").table().to_pylist()
    address = {row["post_id"]: row["image_url"] for row in rows if row["role"] == "photo"}
    paths = {"/" + address[post_id].split("/", 3)[3]: kind for post_id, kind in faults.items()}
    out = tmp_path / "storm"
    with serving(world, ServeOptions(paths=paths, retry_after=0)) as server:
        crawl("kream", server.urls["kream"], out, *PLAIN, "--blocks", "0-2")
    check(out, "kream", {post_id: PICTURES[kind] for post_id, kind in faults.items()})
    lasting = {n: PICTURES[kind] for n, kind in faults.items() if PICTURES[kind].startswith("empty")}
    with serving(world) as server:
        crawl("kream", server.urls["kream"], out, *PLAIN, "--blocks", "0-2", "--retry-failed", "--retry-wait", "0")
    check(out, "kream", lasting)


@pytest.mark.parametrize("kind", ["429", "500", "wall"])
def test_kream__a_site_that_refuses_is_not_hammered(tmp_path: Path, kind: str) -> None:
    world = tiny_world(40)
    with serving(world) as server:
        crawl("kream", server.urls["kream"], tmp_path, "--browser", "/none")
    paths = {f"/social/posts/{post_id}": kind for post_id in range(2, 41)}
    with serving(world, ServeOptions(paths=paths, retry_after=0)) as server:
        options = ("--browser", "/none", "--retries", "0", "--refresh")
        answer = crawl("kream", server.urls["kream"], tmp_path, *options, code=1)
    assert "20 posts in a row failed, the last with" in answer["error"]
    stats = json.loads((tmp_path / "stats-kream.json").read_text())
    assert 20 <= stats["states"]["failed"] < 30  # of 39 that would refuse


@pytest.mark.browser
@pytest.mark.parametrize("fault", ["503", "drop"])
def test_kream_catalog__listing_that_is_refused_its_further_cards_is_not_kept(tmp_path: Path, fault: str) -> None:
    world = tiny_world(1)
    world.products |= {n: TinyProduct(n, "bag", 9, f"Bag {n}") for n in range(100, 130)}
    paths = {"/api/screens/search/products": fault}
    with serving(world, ServeOptions(paths=paths, retry_after=0)) as server:
        answer = crawl("kream-catalog", server.urls["kream"], tmp_path, "--retries", "0", code=1)
    assert "the listing is cut at http" in answer["error"]
    assert "could not read kream/bag; run again to resume" in answer["error"]
    assert "bag" not in {path.stem for path in tmp_path.glob("catalog/kream/*.parquet")}


@pytest.mark.browser
def test_onthelook__faulty_pages(tmp_path: Path) -> None:
    faults = dict(enumerate(RENDERED, 2))
    paths = {f"/post/{post_id}": kind for post_id, kind in faults.items()}
    options = ("--retries", "0", "--timeout", "10", "--blocks", "0")
    with serving(tiny_world(9), ServeOptions(paths=paths, retry_after=0)) as server:
        crawl("onthelook", server.urls["onthelook"], tmp_path, *options)
        assert "disallowed" not in hits(server, "onthelook")
    check(tmp_path, "onthelook", {post_id: RENDERED[kind] for post_id, kind in faults.items()})
