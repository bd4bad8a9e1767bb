"""A shop's product feed as its catalog: what is taken, what is refused and why, and what a second import changes."""

import json
from pathlib import Path
from typing import Any

import pytest

from crawlers.errors import ConfigError
from crawlers.feed import Feed, read_feed
from curation.tables import ShardedTable
from tests.crawlers.commands import run
from tests.crawlers.shops import Shops, open_shops
from tests.sandbox.tiny import picture

HEAD = "id,category,image,name,brand,price,url"


def written(folder: Path, *rows: str, name: str = "feed.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def imported(feed: Path, out: Path, *more: str, code: int = 0) -> dict[str, Any]:
    options = ("--site", "myshop", "--out", str(out), "--delay", "0", "--retries", "0", "--allow-private")
    return run("import-catalog", str(feed), *options, *more, code=code)


def catalog(out: Path) -> dict[str, dict[str, Any]]:
    rows = ShardedTable(out / "catalog", "myshop").table().to_pylist()
    assert len({row["product_id"] for row in rows}) == len(rows)
    return {row["product_id"]: row for row in rows}


def refusals(feed: Feed) -> dict[int, str]:
    return {refusal.line: f"{refusal.field} {refusal.reason}" for refusal in feed.refused}


def test_import_catalog__addresses_and_files_become_a_catalog(tmp_path: Path) -> None:
    shops, out = Shops(), tmp_path / "out"
    written(tmp_path / "in").with_name("a.jpg").write_bytes(picture(1, (240, 240)))
    with open_shops(shops) as url:
        feed = written(
            tmp_path / "in",
            HEAD,
            f'SKU-1,shoes,{url}/images/item/1.jpg?v=2,Boot,Novak,"1.299,50 €",{url}/product.php?id=1',
            "7,BAG,a.jpg,Bag,,,",
            "8,hats,a.jpg,,,,",
            "9,bag,gone.jpg,,,,",
            f"10,bag,{url}/images/item/77.jpg,,,,",
        )
        shops.broken = {77}
        stats = imported(feed, out)
        assert shops.hits == {"picture": 2}
    rows = catalog(out)
    assert {key: (row["category"], row["error"]) for key, row in rows.items()} == {
        "SKU-1": ("shoes", None), "7": ("bag", None), "9": ("bag", "missing"), "10": ("bag", "http_error")
    }  # fmt: skip
    boot = rows["SKU-1"]
    assert (boot["product_name"], boot["brand"], boot["price"]) == ("Boot", "Novak", 1300)
    assert (boot["product_url"], boot["image_url"]) == (f"{url}/product.php?id=1", f"{url}/images/item/1.jpg?v=2")
    assert (rows["7"]["image_url"], rows["7"]["bytes"]) == ("a.jpg", picture(1, (240, 240)))
    assert (stats["kept"], stats["rows"], stats["refused"]) == (2, 5, {"category": 1})
    told = json.loads((out / "feed-myshop.json").read_text())
    reason = "must be one of bag, bottom, dress, hat, outer, shoes, top, etc, got 'hats'"
    assert told["refused"] == [{"line": 4, "id": "8", "field": "category", "reason": reason}]
    assert {row["product_id"]: row["error"] for row in told["without_picture"]} == {"9": "missing", "10": "http_error"}


def test_import_catalog__again_changes_what_the_feed_changed_and_asks_for_no_picture_twice(tmp_path: Path) -> None:
    shops, out, image = Shops(), tmp_path / "out", tmp_path / "a.jpg"
    image.write_bytes(picture(1, (240, 240)))
    with open_shops(shops) as url:
        rows = [HEAD, f"1,shoes,{url}/images/item/1.jpg,Boot,,9,", "2,shoes,a.jpg,Shoe,,9,"]
        imported(written(tmp_path, *rows), out)
        before = ShardedTable(out / "catalog").fingerprint
        imported(written(tmp_path, *rows), out)
        assert ShardedTable(out / "catalog").fingerprint == before
        image.write_bytes(picture(2, (240, 240)))
        imported(written(tmp_path, HEAD, f"1,top,{url}/images/item/1.jpg,Boot,,5,", rows[2]), out)
        assert shops.hits["picture"] <= 2  # one for each category that it was in
    found = catalog(out)
    assert {key: (row["category"], row["price"]) for key, row in found.items()} == {"1": ("top", 5), "2": ("shoes", 9)}
    assert found["2"]["bytes"] == picture(2, (240, 240))


def test_import_catalog__feed_that_lost_a_category_takes_nothing_away(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture(1, (240, 240)))
    out = tmp_path / "out"
    imported(written(tmp_path, HEAD, "1,shoes,a.jpg,,,,", "2,bag,a.jpg,,,,"), out)
    answer = imported(written(tmp_path, HEAD, "1,shoes,a.jpg,,,,"), out, code=1)
    assert "feed.csv: bag: no product, where there were some before" in answer["error"]
    assert "delete catalog/myshop/bag.parquet" in answer["error"]
    assert catalog(out).keys() == {"1", "2"}


def test_import_catalog__long_feed_is_taken_to_its_end_and_obeys_take_downs(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture(1, (240, 240)))
    out = tmp_path / "out"
    feed = written(tmp_path, HEAD, *(f"SKU-{n},shoes,a.jpg,,,," for n in range(250)))
    assert imported(feed, out)["kept"] == 250
    options = ("--out", str(out), "--reason", "a letter", "--product", "SKU-3")
    assert run("exclude", *options, "--site", "myshop") == {"product": 1}
    assert "site: must be one of" in run("exclude", *options, "--site", "mischop", code=2)["error"]
    assert imported(feed, out)["kept"] == 249
    assert "SKU-3" not in catalog(out)


def test_import_catalog__private_addresses_are_refused(tmp_path: Path) -> None:
    with open_shops(Shops()) as url:
        feed = written(tmp_path, HEAD, f"1,shoes,{url}/images/item/1.jpg,,,,")
        options = ("--site", "myshop", "--out", str(tmp_path / "out"), "--delay", "0")
        run("import-catalog", str(feed), *options, code=1)
    told = json.loads((tmp_path / "out" / "feed-myshop.json").read_text())
    assert [row["error"] for row in told["without_picture"]] == ["not_captured"]


@pytest.mark.parametrize("site", ["kream", "my-shop", "../x", ""])
def test_import_catalog__site_that_cannot_be(tmp_path: Path, site: str) -> None:
    feed = written(tmp_path, HEAD)
    answer = run("import-catalog", str(feed), "--site", site, "--out", str(tmp_path / "out"), code=2)
    assert "site" in answer["error"] or "catalog of kream" in answer["error"]


def test_read_feed__each_refused_row_says_why(tmp_path: Path) -> None:
    feed = read_feed(
        written(
            tmp_path, f"{HEAD},gtin", "1,bag,a.jpg,,,,,", "1,shoes,b.jpg,,,,,", ",bag,a.jpg,,,,,", "2,bag,,,,,,",
            "3,bag,../a.jpg,,,,,", "4,bag,ftp://h/a.jpg,,,,,", "5,bag,//h/a.jpg,,,,,", "6,bag,a.jpg,,,cheap,,",
            "7,bag,a.jpg,,,,x:y,", "8,bag,a.jpg", "9,bag,http://[/a.jpg,,,,,", "10,bag,b.jpg,,,5,,4006381333931",
        )
    )  # fmt: skip
    assert refusals(feed) == {
        3: "id is on line 2 already",
        4: "id is missing",
        5: "image is missing",
        6: "image must lie below the feed's folder, got '../a.jpg'",
        7: "image must be an http or https address or a path, got 'ftp://h/a.jpg'",
        8: "image must be an http or https address or a path, got '//h/a.jpg'",
        9: "price must be a number, got 'cheap'",
        10: "url must be an http or https address, got 'x:y'",
        11: "row has 3 values, not as many as there are columns",
        12: "image must be an http or https address or a path, got 'http://[/a.jpg'",
    }
    assert [item.product_id for item in feed.items[0]] == ["1", "10"]
    assert feed.unread == ("gtin",)


def test_read_feed__json_lines(tmp_path: Path) -> None:
    rows = [
        {"id": 5, "category": "top", "image": "http://h/a.jpg#x", "price": 49.99, "name": None, "size": "M"},
        {"id": True, "category": "top", "image": "a.jpg"},
        {"id": "6", "category": ["top"], "image": "a.jpg"},
        {"id": "7", "category": "top", "image": ["a.jpg"]},
    ]
    feed = read_feed(written(tmp_path, *map(json.dumps, rows), "{", "", "5", "[1]", name="feed.jsonl"))
    assert refusals(feed) == {
        2: "id is missing",
        3: "category is missing",
        4: "image is missing",
        5: "row is no JSON object",
        7: "row is no JSON object",
        8: "row is no JSON object",
    }
    (item,) = feed.items[6]
    assert (item.product_id, item.price, item.image_url) == ("5", 50, "http://h/a.jpg")
    assert (feed.hosts, feed.unread) == ({"h"}, ("size",))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("feed.csv", "id;image\n1;a", "has no column category; it has id, image"),
        ("feed.csv", "", "has no column id, category, image"),
        ("feed.csv", f'{HEAD}\n1,bag,"a.jpg,,,,\n2,bag,a.jpg,,,,', "unexpected end of data"),
        ("feed.xlsx", "", "must end in"),
        ("feed.csv", "id,category,image\n\ud83d", "is not UTF-8"),
    ],
)
def test_read_feed__file_that_is_no_feed(tmp_path: Path, name: str, text: str, told: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError, match=told):
        read_feed(path)


def test_read_feed__file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_feed(tmp_path / "feed.csv")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_read_feed__byte_order_mark_capitals_and_other_delimiters(tmp_path: Path, delimiter: str) -> None:
    rows = ["\ufeffID,Category,Image", 'x,top,"a\n.jpg"', "y,top,a.jpg"]
    feed = read_feed(written(tmp_path, *(row.replace(",", delimiter) for row in rows)))
    assert [item.product_id for item in feed.items[6]] == ["x", "y"]
