"""The service on real checkpoint directories: tiny networks with random weights, through the command line too."""

import json
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from models.checkpoint import open_checkpoint
from search.errors import VersionMismatchError
from search.index import build_index
from search.query import SearchService
from tests.search.builders import photo_of, product_rows, write_embeddings

PER_CATEGORY = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from models.checkpoint import save_checkpoint
    from models.config import make_config
    from models.detector.config import DetectorConfig
    from models.detector.train import build as build_detector
    from models.encoder.config import EncoderConfig
    from models.encoder.infer import Encoder
    from models.encoder.train import build as build_encoder
    from models.presets import preset

    torch.manual_seed(0)
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("data")
    detector, looks = build_detector(make_config(DetectorConfig, preset("detector", "tiny")))
    encoder, sizes = build_encoder(make_config(EncoderConfig, preset("encoder", "tiny")))
    facts = {"config": {}, "data_fingerprint": "none", "labels": [], "metrics": {}}
    parts = {
        "detector": lambda path: (detector.save_pretrained(path), looks.save_pretrained(path)),
        "encoder": lambda path: (encoder.save(path), sizes.save_pretrained(path)),
    }
    for kind, write in parts.items():
        save_checkpoint(folder / "models" / kind, kind, write, **facts)
    trained = Encoder.load(folder / "models" / "encoder")
    rows = product_rows(PER_CATEGORY, trained.version)
    for row in rows:
        row["vector"] = trained.embed([Image.open(BytesIO(row["thumbnail"])).convert("RGB")])[0].tolist()
    build_index(write_embeddings(folder / "embeddings", rows), folder / "index", trained.version)
    return folder


def test_open__finds_a_thumbnail_that_is_its_own_query(data: Path) -> None:
    service = SearchService.open(data)
    thumbnail = service.index.thumbnail("kream-23")
    whole = (0.0, 0.0, 120.0, 120.0)
    (garment,) = service.search(thumbnail, box=whole, category="bottom", top=3).garments
    assert garment.hits[0].product.id == "kream-23"
    assert garment.hits[0].score == pytest.approx(1, abs=1e-4)


def test_open__keeps_the_encoder_that_made_the_index(data: Path, tmp_path: Path) -> None:
    """A newer encoder is promoted: until the index is made anew, search goes on with the old one."""
    from models.promotion import ModelVersions

    shutil.copytree(data / "models", tmp_path / "models")
    (tmp_path / "index").symlink_to(data / "index")
    versions = ModelVersions(tmp_path / "models" / "encoder")
    newer = tmp_path / "newer"
    shutil.copytree(tmp_path / "models" / "encoder", newer)
    manifest = json.loads((newer / "manifest.json").read_text())
    (newer / "manifest.json").write_text(json.dumps({**manifest, "version": "newer"}))
    versions.promote(versions.add(newer), "a test")
    assert open_checkpoint(versions.folder / "0001", "encoder")[1].version == manifest["version"]
    assert SearchService.open(tmp_path).index.manifest.encoder_version == manifest["version"]


def test_open__index_of_other_weights(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "data"
    other.mkdir()
    (other / "models").symlink_to(data / "models")
    build_index(write_embeddings(tmp_path / "rows", product_rows(2, "older")), other / "index", "older")
    with pytest.raises(VersionMismatchError, match="was made by encoder older, loaded is "):
        SearchService.open(other)


def test_query__command_line(data: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo_of(1, 2, 3))
    command = [sys.executable, "-m", "search", "query", "photo.jpg", "--json", "--top", "5", "--data", str(data)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert (answer["width"], answer["height"]) == (300, 400)
    assert all(len(garment["hits"]) == 5 for garment in answer["garments"])
    assert answer["garments"]
    assert "%|" not in done.stderr  # no progress bar
