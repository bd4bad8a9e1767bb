"""One thread for every test of this room: pytest may run beside other work, and tiny models gain nothing from more."""

from pathlib import Path

import pytest

from models.detector.dataset import build_detection_dataset
from tests.models import toys

TINY = {"threads": 1, "precision": "float32", "evaluations": 1}


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.pair_dataset(tmp_path_factory.mktemp("pairs"), products=10)


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.catalog_table(tmp_path_factory.mktemp("catalog"), per_class=20).root


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    folder = toys.coco_folder(root / "toy", 30)
    build_detection_dataset([toys.coco_source(folder)], root / "dataset", validation_share=0.2)
    return root / "dataset"
