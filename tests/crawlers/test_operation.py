"""What an operator does around a crawl: take-downs, drift, fixtures, limits; pages that need a browser after all."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from crawlers.exclusions import FILE_NAME, exclude
from crawlers.pages.twentynine import TwentyNinePages
from crawlers.sites import CATALOG_SITES, CATALOG_SUFFIX, POST_SITES
from crawlers.spiders.fixture import expectation
from curation.tables import ShardedTable
from sandbox.sites.server import ServeOptions, serving
from sandbox.sites.site import page
from tests.crawlers.commands import command, crawl, hits, ledger, run
from tests.crawlers.fixtures import FOLDER
from tests.crawlers.shops import Shops, open_shops
from tests.sandbox.tiny import TinyProduct, tiny_world

NO_BROWSER = ("--browser", "/none")


def rows(out: Path, site: str = "kream") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ShardedTable(out / "posts", site).table().to_pylist()
    return found


def test_exclude__post_product_and_image_are_never_asked_for(tmp_path: Path) -> None:
    world = tiny_world(9)
    with serving(world) as server:
        url = server.urls["kream"]
        crawl("kream", url, tmp_path)
        photo = next(row["image_url"] for row in rows(tmp_path) if row["post_id"] == 4 and row["role"] == "photo")
        product = next(row["product_id"] for row in rows(tmp_path) if row["role"] == "product")
        options = ("exclude", "--out", str(tmp_path), "--site", "kream", "--reason", "a letter")
        named = ("--post", "2", "--product", product, "--image-url", photo)
        assert run(*options, *named) == {"post": 1, "product": 1, "image": 1}
        assert run(*options, *named) == {"post": 0, "product": 0, "image": 0}
        before = hits(server, "kream")["post"]
        crawl("kream", url, tmp_path, "--refresh", "--blocks", "0")
        assert hits(server, "kream")["post"] - before < 1 + 9 + 8  # post 2 is not even looked at
    assert ledger(tmp_path, "kream")[2] == "excluded:take_down"
    left = rows(tmp_path)
    assert not [row for row in left if row["post_id"] == 2 or row["product_id"] == product]
    assert photo not in {row["image_url"] for row in left}


def test_exclude__while_a_crawl_looks_for_the_newest_post_is_obeyed_by_it(tmp_path: Path) -> None:
    with serving(tiny_world(3), ServeOptions(delay=0.2)) as server:
        line = command("kream", server.urls["kream"], tmp_path, *NO_BROWSER, "--concurrency", "1")
        with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            while not hits(server, "kream").get("post") and child.poll() is None:
                time.sleep(0.01)
            exclude(tmp_path, "kream", "post", ["2"], "a letter")
            assert child.wait(timeout=120) == 0
    assert ledger(tmp_path, "kream") == {1: "done", 2: "excluded:take_down", 3: "done"}


def test_exclude__nothing_named(tmp_path: Path) -> None:
    answer = run("exclude", "--out", str(tmp_path), "--site", "kream", "--reason", "x", code=2)
    assert "name at least one" in answer["error"]


def test_exclude__a_list_that_cannot_be_read_stops_the_crawl(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("12\n")
    answer = crawl("kream", "http://127.0.0.1:9", tmp_path, *NO_BROWSER, code=2)
    assert "exclusions.jsonl:1 is no exclusion" in answer["error"]


def test_kream__what_a_kill_left_of_a_shard_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "posts" / "kream" / ".000000.parquet.0a.tmp"
    left.parent.mkdir(parents=True)
    left.touch()
    os.utime(left, (0, 0))
    with serving(tiny_world(3)) as server:
        crawl("kream", server.urls["kream"], tmp_path, *NO_BROWSER)
    assert [path.name for path in left.parent.iterdir()] == ["000000.parquet"]


def test_drift__vanished_field_is_named_until_it_is_back(tmp_path: Path) -> None:
    world = tiny_world(40)
    with serving(world) as server:
        url = server.urls["kream"]
        options = ("--block-size", "100", *NO_BROWSER)
        assert crawl("kream", url, tmp_path, *options)["drift"] == []
        for number, product in world.products.items():
            world.products[number] = type(product)(**{**vars(product), "brand": ""})
        drift = ["brand on 0% of pages, before 100%"]
        assert crawl("kream", url, tmp_path, *options, "--refresh")["drift"] == drift
        assert crawl("kream", url, tmp_path, *options)["drift"] == drift


def test_fixture__is_a_test(tmp_path: Path) -> None:
    with serving(tiny_world(3)) as server:
        url = server.urls["kream"]
        options = ("--base-url", url, "--out", str(tmp_path), "--allow-private")
        saved = run("fixture", f"{url}/social/posts/2", *options)
        assert Path(saved["html"]).name == "kream_2.html"
        assert len(saved["post"]["products"]) == 2
        assert "no post of kream" in run("fixture", f"{url}/products/2", *options, code=2)["error"]
        assert run("fixture", f"{url}/social/posts/77", *options, code=1)["error"]
    check_fixture(tmp_path / "kream_2.json")


def test_fixture__of_a_listing_is_a_test(tmp_path: Path) -> None:
    with open_shops(Shops(products={"272103100": [1, 2]})) as url:
        address = TwentyNinePages(url).listing_url(272103100, 1)
        options = ("--base-url", url, "--out", str(tmp_path), "--allow-private")
        saved = run("fixture", address, *options)
        assert [item["product_id"] for item in saved["products"]] == ["1", "2"]
        run("fixture", TwentyNinePages(url).listing_url(272102100, 1), *options, code=1)  # there is none
    check_fixture(tmp_path / "29cm-catalog_272103100.json")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*_[0-9]*.json")), ids=lambda path: path.stem)
def test_fixture__page_object_reads_what_it_read(path: Path) -> None:
    check_fixture(path)


def check_fixture(path: Path) -> None:
    saved = json.loads(path.read_text(encoding="utf-8"))
    kind, html = path.stem.rpartition("_")[0], path.with_suffix(".html").read_text(encoding="utf-8")
    if kind.endswith(CATALOG_SUFFIX):
        listing = CATALOG_SITES[kind.removesuffix(CATALOG_SUFFIX)](saved["base_url"]).parse_listing(html)
        assert expectation(listing) == saved["products"]
    else:
        page = POST_SITES[kind](saved["base_url"]).parse_post(html, saved["post_id"])
        assert expectation(page) == saved["post"]


@pytest.mark.browser
def test_kream__falls_back_to_the_browser_where_plain_pages_are_empty(tmp_path: Path) -> None:
    world = tiny_world(9)
    with serving(world) as server:
        crawl("kream", server.urls["kream"], tmp_path / "plain", *NO_BROWSER)
    with serving(world, ServeOptions(faults={"shell": 1.0})) as server:
        url = server.urls["kream"]
        lost = crawl("kream", url, tmp_path / "without", *NO_BROWSER, code=1)
        assert "nothing was kept" in lost["error"]
        stats = crawl("kream", url, tmp_path / "with", "--concurrency", "1")
    assert ledger(tmp_path / "with", "kream") == ledger(tmp_path / "plain", "kream")
    assert stats["fallbacks"] == 5  # after as many in a row, all pages are rendered from the start
    assert stats["drift"] == []


def test_kream__says_how_far_it_looks_for_the_newest(tmp_path: Path) -> None:
    with serving(tiny_world(1)) as server:
        line = command("kream", server.urls["kream"], tmp_path, *NO_BROWSER, "--max-posts", "4")
        told = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True).stderr
    assert "kream: looking for the newest post above id 0, up to 8" in told


def test_kream__one_broken_post_ends_no_crawl(tmp_path: Path) -> None:
    with serving(tiny_world(9)) as server:
        crawl("kream", server.urls["kream"], tmp_path, *NO_BROWSER)
    with serving(tiny_world(13), ServeOptions(paths={"/social/posts/13": "500"})) as server:
        options = ("--concurrency", "1", "--retries", "0")  # the broken one is asked for by itself
        crawl("kream", server.urls["kream"], tmp_path, *NO_BROWSER, *options)
    assert ledger(tmp_path, "kream") == dict.fromkeys(range(1, 13), "done")  # it stays out until there is a newer one


@pytest.mark.browser
@pytest.mark.parametrize("options", [(), ("--max-posts", "30")])
def test_onthelook__newest_post_is_found_where_every_address_has_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr("sandbox.sites.onthelook.page", lambda template, _: page(template))
    with serving(tiny_world(9)) as server:
        crawl("onthelook", server.urls["onthelook"], tmp_path, *options)
    assert ledger(tmp_path, "onthelook") == dict.fromkeys(range(1, 10), "done")


@pytest.mark.browser
def test_kream_catalog__out_of_time_ends_by_itself_and_goes_on(tmp_path: Path) -> None:
    world = tiny_world(1)
    world.products |= {n: TinyProduct(n, "bag", 9, f"Bag {n}") for n in range(100, 140)}
    with serving(world, ServeOptions(delay=0.5)) as server:
        crawl("kream-catalog", server.urls["kream"], tmp_path, "--max-seconds", "3", code=1)
    assert json.loads((tmp_path / "stats-kream-catalog.json").read_text())["finish_reason"] == "max_seconds"
    assert "bag" not in {path.stem for path in tmp_path.glob("catalog/kream/*.parquet")}
    with serving(world) as server:
        crawl("kream-catalog", server.urls["kream"], tmp_path)
    assert len(ShardedTable(tmp_path / "catalog").table(["product_id"])) == len(world.products)
