"""An encoder at work: groups of pictures, precision as part of its version, OpenVINO beside PyTorch."""

from importlib.util import find_spec

import numpy as np
import pytest

from models.encoder.infer import Encoder
from tests.models import toys

IMAGES = [toys.thumbnail("top", number) for number in range(5)]


def test_embed_each__groups_with_what_came_with_them(checkpoint):
    encoder = Encoder.load(checkpoint)
    groups = [IMAGES[:2], [], IMAGES[2:]]
    made = list(encoder.embed_each(groups, lambda group: (len(group), group)))
    assert [(tag, len(vectors)) for tag, vectors in made] == [(2, 2), (0, 0), (3, 3)]
    together = np.concatenate([vectors for _, vectors in made])
    np.testing.assert_allclose(together, encoder.embed(IMAGES), atol=1e-6)
    assert encoder.embed([]).shape == (0, encoder.dimension)


def test_load__other_precisions_are_other_versions(checkpoint):
    """So that an index refuses queries that were embedded in another precision than its catalog."""
    plain, rough = Encoder.load(checkpoint), Encoder.load(checkpoint, precision="bfloat16")
    assert rough.version == f"{plain.version}+bfloat16"
    cosines = (plain.embed(IMAGES) * rough.embed(IMAGES)).sum(1)
    assert 0.99 < cosines.min() < 0.999999


def test_load__small_networks_stay_in_torch(checkpoint):
    Encoder.load(checkpoint)
    assert list(checkpoint.glob("openvino-*")) == []


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is optional")
def test_load__vectors_of_openvino_mix_with_those_of_torch(checkpoint):
    plain, converted = Encoder.load(checkpoint), Encoder.load(checkpoint, engine="openvino")
    assert type(converted._forward._run).__name__ == "Converted"
    assert converted.version == plain.version
    np.testing.assert_allclose(converted.embed(IMAGES), plain.embed(IMAGES), atol=1e-5)
    assert len(list(checkpoint.glob("openvino-*/verdict.json"))) == 1
