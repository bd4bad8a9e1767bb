"""Whole crawls as an operator starts them: `python -m crawlers …` against the sandbox sites."""

import json
import signal
import subprocess
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from crawlers.blocks import locked
from crawlers.rows import LedgerEntry, PostResult
from crawlers.staging import Staging
from curation.reasons import PostState
from curation.tables import ShardedTable
from sandbox.sites.server import ServeOptions, serving
from sandbox.world import World
from tests.crawlers.commands import command, content, crawl, hits, ledger
from tests.crawlers.processes import alive, descendants
from tests.sandbox.tiny import TinyProduct, post, tiny_world, troubled_world

NO_BROWSER = ("--browser", "/none")
_KILLS = 20
TROUBLE = {
    1: "done",
    2: "gone",
    3: "excluded:ai_made",
    4: "empty:no_tag",
    5: "empty:photo_truncated",
    6: "empty:photo_empty",
    7: "empty:photo_not_an_image",
    8: "empty:photo_too_many_pixels",
    9: "empty:product_missing",
    10: "done",
}


def states(out: Path, site: str) -> dict[int, str]:
    return {n: state.removesuffix(":http_404") for n, state in ledger(out, site).items()}


def test_kream__every_trouble_ends_in_its_state(tmp_path: Path) -> None:
    with serving(troubled_world()) as server:
        stats = crawl("kream", server.urls["kream"], tmp_path, "--blocks", "0-3")
    assert states(tmp_path, "kream") == TROUBLE
    assert stats["kept"] == 2
    assert stats["finish_reason"] == "finished"
    assert stats["blocks"] == {
        "kream/000000": "made",
        "kream/000001": "made",
        "kream/000002": "skipped",
        "kream/000003": "skipped",
    }
    assert json.loads((tmp_path / "stats-kream.json").read_text()) == stats
    rows = ShardedTable(tmp_path / "posts").table().to_pylist()
    errors = {(row["post_id"], row["role"]): row["error"] for row in rows if row["error"]}
    assert errors == {
        (5, "photo"): "truncated",
        (6, "photo"): "empty",
        (7, "photo"): "not_an_image",
        (8, "photo"): "too_many_pixels",
        (9, "product"): "missing",
        (10, "product"): "missing",
    }
    assert all((row["bytes"] is None) == (row["error"] is not None) for row in rows)
    assert not list((tmp_path / "staging").rglob("*.sqlite*"))


def test_kream__pictures_are_the_originals_and_fetched_once(tmp_path: Path) -> None:
    world = tiny_world(30)  # ten products, tagged sixty times
    with serving(world) as server:
        crawl("kream", server.urls["kream"], tmp_path, "--block-size", "100")
        seen = hits(server, "kream")
    photos = sum(len(p.photos) for p in world.posts["kream"].values())
    assert seen["original"] == photos + len(world.products)
    assert "resized" not in seen
    assert "disallowed" not in seen
    for row in ShardedTable(tmp_path / "posts").table().to_pylist():
        if row["role"] == "photo":
            assert row["bytes"] == world.photo("kream", row["post_id"], row["position"])
        else:
            assert row["bytes"] == world.thumbnail("kream", int(row["product_id"]))
            assert row["product_name"] == f"Item <{row['product_id']}>"


def test_kream__second_run_asks_for_new_posts_only(tmp_path: Path) -> None:
    world = tiny_world(12)
    with serving(world) as server:
        url = server.urls["kream"]
        crawl("kream", url, tmp_path)
        first, asked = content(tmp_path, "kream"), hits(server, "kream")
        again = crawl("kream", url, tmp_path)
        assert (again["pages"], again["kept"]) == (0, 12)
        assert hits(server, "kream")["original"] == asked["original"]
        assert content(tmp_path, "kream") == first
        world.posts["kream"][13] = post("kream", 13)
        grown = crawl("kream", url, tmp_path)
        assert (grown["pages"], grown["kept"]) == (1, 13)
        assert crawl("kream", url, tmp_path, "--refresh", "--blocks", "1")["pages"] == 4
    assert list(ledger(tmp_path, "kream")) == list(range(1, 14))


def test_kream__max_posts_goes_on_next_time(tmp_path: Path) -> None:
    with serving(tiny_world(15)) as server:
        url = server.urls["kream"]
        assert crawl("kream", url, tmp_path, "--max-posts", "4")["kept"] == 4
        assert crawl("kream", url, tmp_path)["kept"] == 15
        crawl("kream", url, tmp_path / "whole")
    assert content(tmp_path, "kream") == content(tmp_path / "whole", "kream")


def test_kream__max_posts_does_not_look_for_the_newest(tmp_path: Path) -> None:
    with serving(tiny_world(200)) as server:
        crawl("kream", server.urls["kream"], tmp_path, "--max-posts", "4")
        assert hits(server, "kream")["post"] == 1 + 8 + 4  # an id that cannot be, one probe as wide as the window


def test_kream__max_posts_goes_on_above_what_a_cut_run_left(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "staging" / "kream" / "000000.sqlite")
    for post_id in range(1, 21):
        staging.commit(PostResult(LedgerEntry(post_id, PostState.EMPTY, "no_tag")))
    staging.close()
    with serving(tiny_world(40)) as server:
        crawl("kream", server.urls["kream"], tmp_path, "--block-size", "100", "--max-posts", "4")
    left, fresh = dict.fromkeys(range(1, 21), "empty:no_tag"), dict.fromkeys(range(21, 25), "done")
    assert states(tmp_path, "kream") == left | fresh


def test_kream__killed_again_and_again_it_ends_as_if_it_never_was(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    with serving(tiny_world(90), ServeOptions(delay=0.01)) as server:
        url = server.urls["kream"]
        crawl("kream", url, tmp_path / "whole", *NO_BROWSER)
        for _ in range(_KILLS):
            begun, enough = hits(server, "kream")["original"], int(random.integers(1, 6))
            with subprocess.Popen(
                command("kream", url, tmp_path / "cut", *NO_BROWSER, "--concurrency", "2"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as child:
                while child.poll() is None and hits(server, "kream")["original"] < begun + enough:
                    time.sleep(0.002)
                time.sleep(float(random.uniform(0, 0.02)))
                child.kill()
            assert child.returncode == -signal.SIGKILL
        crawl("kream", url, tmp_path / "cut", *NO_BROWSER)
    assert states(tmp_path / "cut", "kream") == states(tmp_path / "whole", "kream")
    assert content(tmp_path / "cut", "kream") == content(tmp_path / "whole", "kream")


def test_kream__sigterm_stops_in_seconds_and_resumes(tmp_path: Path) -> None:
    with serving(tiny_world(30), ServeOptions(delay=0.2)) as server:
        url = server.urls["kream"]
        with subprocess.Popen(
            command("kream", url, tmp_path, "--block-size", "100"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            deadline = time.monotonic() + 20
            while hits(server, "kream").get("original", 0) < 5 and time.monotonic() < deadline:
                time.sleep(0.05)
            child.send_signal(signal.SIGTERM)
            _, error = child.communicate(timeout=10)
        assert child.returncode == 1
        assert "stopped (SIGTERM); run again to resume" in error
        before = hits(server, "kream")["post"]
    with serving(tiny_world(30)) as server:
        stats = crawl("kream", server.urls["kream"], tmp_path, "--block-size", "100")
    assert before > 0
    assert 0 < stats["pages"] <= 30
    assert set(states(tmp_path, "kream").values()) == {"done"}


def test_kream__passing_faults_are_retried(tmp_path: Path) -> None:
    faults = {"429": 0.1, "503": 0.05, "truncate": 0.08, "drop": 0.04}
    with serving(tiny_world(10)) as server:
        crawl("kream", server.urls["kream"], tmp_path / "calm")
    with serving(tiny_world(10), ServeOptions(faults=faults, retry_after=0)) as server:
        crawl("kream", server.urls["kream"], tmp_path / "storm", "--retries", "12")
    assert content(tmp_path / "storm", "kream") == content(tmp_path / "calm", "kream")


def test_kream__failed_posts_and_only_they_are_retried(tmp_path: Path) -> None:
    world = tiny_world(9)
    original = type(world).photo

    def flaky(site: str, post_id: int, position: int) -> bytes:
        if post_id == 4:
            raise RuntimeError("disk on fire")  # HTTP 500
        return original(world, site, post_id, position)

    world.photo = flaky  # type: ignore[method-assign]
    with serving(world) as server:
        url = server.urls["kream"]
        crawl("kream", url, tmp_path, "--retries", "0")
        assert ledger(tmp_path, "kream")[4] == "failed:photo_http_error"
        del world.photo  # the site is well again
        assert crawl("kream", url, tmp_path)["pages"] == 0
        assert crawl("kream", url, tmp_path, "--retry-failed", "--retry-wait", "0")["pages"] == 1
    entry = ShardedTable(tmp_path / "ledger").table().to_pylist()[3]
    assert (entry["post_id"], entry["state"], entry["attempts"]) == (4, "done", 2)
    assert entry["first_tried_at"] < entry["last_tried_at"]


def test_kream__empty_site_fails_loudly(tmp_path: Path) -> None:
    world = tiny_world(0)
    with serving(world) as server:
        assert "nothing was kept" in crawl("kream", server.urls["kream"], tmp_path, code=1)["error"]


def test_kream__site_that_is_down_fails_loudly(tmp_path: Path) -> None:
    answer = crawl("kream", "http://127.0.0.1:9", tmp_path, "--retries", "0", code=1)
    assert "cannot find the newest post" in answer["error"]
    stats = json.loads((tmp_path / "stats-kream.json").read_text())
    assert stats["error"].startswith("StoppedCrawlError: cannot find the newest post")


def test_kream__loopback_is_refused_without_permission(tmp_path: Path) -> None:
    with serving(tiny_world(3)) as server:
        arguments = [part for part in command("kream", server.urls["kream"], tmp_path) if part != "--allow-private"]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
        assert hits(server, "kream") == {}
    assert done.returncode == 1
    assert "private address 127.0.0.1" in done.stderr


def test_kream__two_crawls_of_one_block_do_not_run(tmp_path: Path) -> None:
    with serving(tiny_world(3)) as server, locked(tmp_path / "staging" / "kream" / "000000.lock"):
        answer = crawl("kream", server.urls["kream"], tmp_path, code=1)
    assert "000000 is being crawled by another process" in answer["error"]
    assert not (tmp_path / "posts").exists()


@pytest.mark.browser
def test_onthelook__every_trouble_ends_in_its_state(tmp_path: Path) -> None:
    with serving(troubled_world()) as server:
        stats = crawl("onthelook", server.urls["onthelook"], tmp_path)
        seen = hits(server, "onthelook")
    assert states(tmp_path, "onthelook") == TROUBLE
    assert stats["kept"] == 2
    assert "resized" not in seen  # the page's own small pictures never left the browser
    assert "disallowed" not in seen  # nor what robots.txt forbids
    rows = ShardedTable(tmp_path / "posts").table().to_pylist()
    world = troubled_world()
    photo = next(row for row in rows if row["post_id"] == 1 and row["role"] == "photo")
    assert photo["bytes"] == world.photo("onthelook", 1, 0)
    assert [row["product_id"] for row in rows if row["post_id"] == 1 and row["role"] == "product"] == [
        "p000002",
        "p000005",
    ]


@pytest.mark.browser
def test_kream_catalog__scrolls_to_the_end_and_keeps_all_categories(tmp_path: Path) -> None:
    world = tiny_world(1)
    world.products |= {n: TinyProduct(n, "bag", 9, f"Bag {n}") for n in range(100, 205)}
    world.broken = {("product", 150): None}
    with serving(world) as server:
        stats = crawl("kream-catalog", server.urls["kream"], tmp_path, "--scroll-wait", "0.6")
        asked = hits(server, "kream")["original"]
        assert crawl("kream-catalog", server.urls["kream"], tmp_path)["pages"] == 0
    assert asked == 115
    assert stats["kept"] == 114
    table = ShardedTable(tmp_path / "catalog").table().to_pylist()
    assert {row["product_id"]: row["category"] for row in table} == {
        str(n): p.category for n, p in world.products.items()
    }
    assert {row["shop_category_id"] for row in table} == {27, 26, 34, 9, 54}
    assert [row["product_id"] for row in table if row["error"]] == ["150"]


@pytest.mark.browser
def test_onthelook__sigterm_ends_the_browser_too(tmp_path: Path) -> None:
    with serving(tiny_world(30)) as server:
        url = server.urls["onthelook"]
        # At this pace the pictures of the posts under way would take longer than a stop may.
        options = ("--delay", "0.5", "--max-posts", "20", "--block-size", "100")
        with subprocess.Popen(
            command("onthelook", url, tmp_path, *options), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as child:
            deadline = time.monotonic() + 60
            while hits(server, "onthelook").get("api", 0) < 2 and time.monotonic() < deadline:
                time.sleep(0.05)
            family = descendants(child.pid)
            child.send_signal(signal.SIGTERM)
            _, error = child.communicate(timeout=12)
        assert child.returncode == 1
        assert "stopped (SIGTERM); run again to resume" in error
        assert any("chrom" in name for name in family.values())
        assert alive(family) == []
        stats = crawl("onthelook", url, tmp_path, "--block-size", "100")
    assert 20 <= stats["pages"] <= 30
    assert set(states(tmp_path, "onthelook").values()) == {"done"}


@pytest.mark.browser
def test_onthelook__killed_crawl_leaves_no_browser(tmp_path: Path) -> None:
    with serving(tiny_world(40)) as server:
        with subprocess.Popen(
            command("onthelook", server.urls["onthelook"], tmp_path),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as child:
            deadline = time.monotonic() + 30
            while hits(server, "onthelook").get("api", 0) < 1 and time.monotonic() < deadline:
                time.sleep(0.05)
            family = descendants(child.pid)
            child.kill()
        assert any("chrom" in name for name in family.values())
        deadline = time.monotonic() + 10
        while alive(family) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert alive(family) == []
        assert httpx.get(server.urls["onthelook"] + "/__sandbox").status_code == 200


def test_kream__drawn_world_comes_back_as_its_truth_says(tmp_path: Path) -> None:
    world = World(5, 32)
    truth = {name: table.to_pylist() for name, table in world.truth().items()}
    with serving(world) as server:
        crawl("kream", server.urls["kream"], tmp_path, "--block-size", "100")
    found = states(tmp_path, "kream")
    posts = {row["post_id"]: row for row in truth["posts"] if row["site"] == "kream"}
    for post_id, state in found.items():
        assert (state == "gone") == posts[post_id]["gone"]
        assert (state == "excluded:ai_made") == (posts[post_id]["ai_made"] and not posts[post_id]["gone"])
    assert all(posts[post_id]["gone"] for post_id in set(posts) - set(found))  # only after the newest post
    rows = ShardedTable(tmp_path / "posts").table().to_pylist()
    kept = {post_id for post_id, state in found.items() if state == "done"}
    shown = {(row["post_id"], row["position"], row["product_id"]) for row in rows if row["role"] == "product"}
    tags = {
        (row["post_id"], row["position"], str(row["product_id"])) for row in truth["tags"] if row["site"] == "kream"
    }
    assert len(kept) > 15
    assert {tag for tag in tags if tag[0] in kept} == {tag for tag in shown if tag[0] in kept}
    broken = {
        (row["post_id"], row["position"])
        for row in truth["broken"]
        if row["role"] == "photo" and row["site"] == "kream"
    }
    errors = {(row["post_id"], row["position"]) for row in rows if row["role"] == "photo" and row["error"]}
    assert errors == {key for key in broken if key in {(row["post_id"], row["position"]) for row in rows}}
