"""The photo folder as a world."""

from pathlib import Path

import pytest

from sandbox.photos import PhotoFolderError, PhotoWorld
from tests.documents import ROOT, blocks
from tests.sandbox.tiny import picture

IMAGES = """image,sku,color,view,category
images/a1.jpg,a-red,red,main,top
images/a2.jpg,a-blue,blue,main,top
images/a1_back.jpg,a-red,red,back,top
images/ball.jpg,ball,,main,etc
"""
PAIRS = """anchor,positive,category,item,kind,same_colour
images/a1_back.jpg,images/a1.jpg,top,a-red,multi_view,1
images/a1_back.jpg,images/a2.jpg,top,a-blue,multi_view,0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "images.csv").write_text(IMAGES)
    (tmp_path / "pairs.csv").write_text(PAIRS)
    for number, name in enumerate(("a1", "a2", "a1_back", "ball")):
        (tmp_path / "images" / f"{name}.jpg").write_bytes(picture(number))
    return tmp_path


def test_photo_world__anchors_are_posts_and_main_shots_the_catalog(folder: Path) -> None:
    world = PhotoWorld(folder)
    assert {p.image: p.category for p in world.products.values()} == {
        "images/a1.jpg": "top",
        "images/a2.jpg": "top",
        "images/ball.jpg": "etc",
    }
    post = world.posts["kream"][1]
    assert [tag.right for tag in post.tags] == [True, False]
    assert world.photo("kream", 1, 0) == (folder / "images/a1_back.jpg").read_bytes()
    assert world.thumbnail("onthelook", 1) == (folder / "images/a1.jpg").read_bytes()


def test_photo_world__names_brands_and_prices_where_they_are_told(folder: Path) -> None:
    head, red, *others = IMAGES.splitlines()
    lines = [f"{head},name,brand,price", f"{red},Red tee,Acme,29000", *(f"{line},,," for line in others)]
    (folder / "images.csv").write_text("\n".join(lines))
    products = PhotoWorld(folder).products
    told = {p.image: (p.name, p.brand, p.price) for p in products.values()}
    assert told["images/a1.jpg"] == ("Red tee", "Acme", 29_000)
    assert told["images/a2.jpg"] == ("a-blue", "Luma", 10_000)
    (folder / "images.csv").write_text("\n".join(lines).replace("29000", "29.90"))
    with pytest.raises(PhotoFolderError, match=r"price '29\.90' of images/a1\.jpg is no whole number of won"):
        PhotoWorld(folder)


def test_photo_world__truth_knows_families_and_recolours(folder: Path) -> None:
    truth = PhotoWorld(folder).truth()
    products = truth["products"].to_pylist()
    assert products[0]["family"] == products[1]["family"] != products[2]["family"]
    assert [row["worn_product_id"] for row in truth["tags"].to_pylist()] == [1, None]
    assert truth["posts"].num_rows == 1


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("images.csv", "main,etc", "main,sock", "category 'sock'"),
        ("images.csv", "category", "kind", "missing columns"),
        ("pairs.csv", "images/a2.jpg", "images/zz.jpg", "no main shot"),
        ("pairs.csv", "images/a1_back.jpg", "images/gone.jpg", "pictures are missing"),
    ],
)
def test_photo_world__bad_folder_is_refused_by_name(folder: Path, name: str, old: str, new: str, message: str) -> None:
    path = folder / name
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(PhotoFolderError, match=message):
        PhotoWorld(folder)


def test_photo_world__missing_folder(tmp_path: Path) -> None:
    with pytest.raises(PhotoFolderError, match=r"images\.csv is missing"):
        PhotoWorld(tmp_path / "none")


def test_photo_world__unknown_picture(folder: Path) -> None:
    world = PhotoWorld(folder)
    assert not world.has_thumbnail("kream", 99)
    with pytest.raises(KeyError):
        world.thumbnail("29cm", 1)
    with pytest.raises(KeyError):
        world.photo("onthelook", 1, 0)


def test_photo_world__reads_the_example_of_the_documents(tmp_path: Path) -> None:
    images, pairs, _ = blocks((ROOT / "docs" / "PHOTOS.md").read_text(), "csv")
    (tmp_path / "images").mkdir()
    for name in ("jacket-red", "jacket-red-worn", "jacket-red-back", "wallet"):
        (tmp_path / "images" / f"{name}.jpg").write_bytes(picture(1))
    (tmp_path / "images.csv").write_text(images)
    (tmp_path / "pairs.csv").write_text(pairs)
    world = PhotoWorld(tmp_path)
    assert [(product.category, product.style) for product in world.products.values()] == [
        ("outer", "jacket"),
        ("etc", "wallet"),
    ]
    tags = [[tag.right for tag in post.tags] for posts in world.posts.values() for post in posts.values()]
    assert tags == [[True, False], [True]]
