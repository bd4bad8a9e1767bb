"""Detection data in the shape of ModaNet and Fashionpedia."""

import json
from pathlib import Path

import pytest
from PIL import Image

from sandbox.annotations import FASHIONPEDIA, MODANET, write_annotations


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("annotations")
    write_annotations(folder, seed=4, images=17)
    return folder


@pytest.mark.parametrize(
    ("name", "names", "first", "count"), [("modanet", MODANET, 1, 9), ("fashionpedia", FASHIONPEDIA, 0, 8)]
)
def test_write_annotations__is_coco(out: Path, name: str, names: tuple[str, ...], first: int, count: int) -> None:
    data = json.loads((out / name / "annotations.json").read_text())
    assert {c["id"]: c["name"] for c in data["categories"]} == dict(enumerate(names, first))
    sizes = {}
    for picture in data["images"]:
        with Image.open(out / name / "images" / picture["file_name"]) as image:
            assert image.size == (picture["width"], picture["height"])
        sizes[picture["id"]] = image.size
    assert len(sizes) == count
    assert len({note["id"] for note in data["annotations"]}) == len(data["annotations"]) > count
    for note in data["annotations"]:
        x, y, width, height = note["bbox"]
        assert first <= note["category_id"] < first + len(names)
        assert x >= 0
        assert y >= 0
        assert x + width <= sizes[note["image_id"]][0]
        assert y + height <= sizes[note["image_id"]][1]
        assert note["area"] == width * height


def test_write_annotations__same_seed_same_files_however_many_draw(out: Path, tmp_path: Path) -> None:
    write_annotations(tmp_path, seed=4, images=17, workers=2)
    for file in sorted(out.rglob("*.jpg")) + sorted(out.rglob("*.json")):
        assert (tmp_path / file.relative_to(out)).read_bytes() == file.read_bytes()


def test_write_annotations__refuses_too_few_images(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="images"):
        write_annotations(tmp_path, seed=1, images=1)
