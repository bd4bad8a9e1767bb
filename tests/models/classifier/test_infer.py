"""A classifier at work: groups of thumbnails, in PyTorch and OpenVINO."""

import copy
from importlib.util import find_spec

import numpy as np
import pytest
import torch  # noqa: TID253
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor  # noqa: TID253

from curation.taxonomy import LABELS
from models.classifier.config import ClassifierConfig
from models.classifier.infer import Classifier
from models.classifier.train import build
from models.config import make_config
from tests.models import toys

CPU = torch.device("cpu")
IMAGES = [toys.thumbnail("hat", number) for number in range(5)]


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
    config = ResNetConfig(**sizes, id2label=dict(enumerate(LABELS)))
    return ResNetForImageClassification(config), ViTImageProcessor(size={"height": 32, "width": 32})


def test_probabilities_each__groups_with_what_came_with_them(parts):
    classifier = Classifier(*parts, "v", CPU)
    groups = [IMAGES[:2], [], IMAGES[2:]]
    made = list(classifier.probabilities_each(groups, lambda group: (len(group), group)))
    assert [(tag, len(rows)) for tag, rows in made] == [(2, 2), (0, 0), (3, 3)]
    together = np.concatenate([rows for _, rows in made])
    np.testing.assert_allclose(together, classifier.probabilities(IMAGES), atol=1e-6)
    np.testing.assert_allclose(together.sum(1), 1)


def test_load__weights_of_half_the_precision_are_computed_with_in_float32(parts, tmp_path):
    """As they are published now and then: transformers would keep them so."""
    model, processor = copy.deepcopy(parts[0]).to(torch.bfloat16), parts[1]
    for part in (model, processor):
        part.save_pretrained(tmp_path)
    loaded = Classifier.load(tmp_path, "cpu").probabilities(IMAGES)
    np.testing.assert_allclose(loaded, Classifier(model.float(), processor, "v", CPU).probabilities(IMAGES), atol=1e-6)
    trained, _ = build(make_config(ClassifierConfig, {"pretrained": str(tmp_path)}))
    assert {parameter.dtype for parameter in trained.parameters()} == {torch.float32}


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is optional")
def test_probabilities__openvino_agrees(parts):
    plain, converted = Classifier(*parts, "v", CPU), Classifier(*parts, "v", CPU, engine="openvino")
    assert type(converted._forward._run).__name__ == "Converted"
    for count in (1, 5):
        np.testing.assert_allclose(
            converted.probabilities(IMAGES[:count]), plain.probabilities(IMAGES[:count]), atol=1e-5
        )
