"""The full-size architectures, as published but with random weights: one step, save and load, by the same trainer."""

import pytest

from models.detector.data import DetectionPictures
from models.detector.dataset import build_detection_dataset
from models.detector.infer import Detector
from models.detector.train import evaluate
from models.presets import preset
from models.run import train
from tests.models import toys
from tests.models.conftest import TINY

# What transformers takes by default are the published values: of microsoft/conditional-detr-resnet-50, whose backbone
# is timm's, of PekingU/rtdetr_v2_r50vd and of D-FINE with HGNetV2.
TIMM = {"use_timm_backbone": True, "backbone": "resnet50", "use_pretrained_backbone": False}
PUBLISHED = {
    "conditional_detr": (TIMM, 43.5),
    "rt_detr_v2": ({}, 42.9),
    "d_fine": ({}, None),
}
SIDE = 128  # px: the least that gives 300 queries a place each


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("detection")
    folder = toys.coco_folder(root / "toy", 30)
    build_detection_dataset([toys.coco_source(folder)], root / "dataset", validation_share=0.15)
    return root / "dataset"


@pytest.mark.parametrize("family", PUBLISHED)
def test_train_detector__published_architecture(family, dataset, tmp_path):
    architecture, millions = PUBLISHED[family]
    values = {**TINY, "steps": 1, "batch": 2, "height": SIDE, "width": SIDE, "workers": 0, "learning_rate": 1e-5}
    values["architecture"] = {"model_type": family, **architecture}
    manifest = train("detector", preset("detector", "tiny", **values), dataset, tmp_path / "out")
    detector = Detector.load(tmp_path / "out", engine="torch")  # converting takes longer than all the rest
    assert detector.version == manifest.version
    count = sum(parameter.numel() for parameter in detector._forward._run.parameters())
    assert millions is None or count / 1e6 == pytest.approx(millions, abs=0.5)
    again = evaluate(detector, DetectionPictures(dataset, "validation"))
    assert again["map"] == pytest.approx(manifest.metrics["map"], abs=1e-3)


def test_presets__full_size_start_from_the_hub():
    assert preset("detector", "full")["pretrained"] == "microsoft/conditional-detr-resnet-50"
    assert preset("detector", "full-fast")["pretrained"] == "PekingU/rtdetr_v2_r50vd"
