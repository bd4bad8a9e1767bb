"""Strict configurations and their messages."""

import json
from typing import get_args

import pytest

from models.classifier.config import ClassifierConfig
from models.config import make_config
from models.detector.config import DetectorConfig
from models.encoder.config import EncoderConfig
from models.errors import ConfigError
from models.presets import Profile, preset

KINDS = {"detector": DetectorConfig, "classifier": ClassifierConfig, "encoder": EncoderConfig}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("profile", get_args(Profile))
def test_preset__every_one_is_a_valid_configuration(kind, profile):
    config = make_config(KINDS[kind], preset(kind, profile))
    assert bool(config.pretrained) == profile.startswith("full")


def test_preset__a_variant_that_a_kind_does_not_have_is_what_it_varies():
    assert preset("classifier", "tiny-photos") == preset("classifier", "tiny")
    assert all(preset(kind, "tiny-photos") != preset(kind, "tiny") for kind in ("detector", "encoder"))


def test_preset__changes_win():
    assert make_config(EncoderConfig, preset("encoder", "tiny", steps=7)).steps == 7


@pytest.mark.parametrize("profile", ["huge", "tiny-drawings"])
def test_preset__unknown_name(profile):
    with pytest.raises(ConfigError, match=rf"encoder-{profile}.*encoder-tiny"):
        preset("encoder", profile)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"setps": 5}, "setps"),
        ({"steps": 0}, "steps.*greater than or equal to 1.*got 0"),
        ({"steps": "5"}, "steps.*valid integer.*'5'"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"precision": "half"}, "precision.*half"),
        ({"pretrained": "some/name"}, "exactly one of"),
        ({"architecture": {}}, "exactly one of"),
        ({"architecture": {"embed_dim": 8}}, "model_type"),
        ({"width": 32}, "square, got 64×32"),
    ],
)
def test_make_config__names_field_rule_and_value(changes, message):
    with pytest.raises(ConfigError, match=message):
        make_config(EncoderConfig, preset("encoder", "tiny", **changes))


def test_make_config__reports_all_errors_at_once():
    with pytest.raises(ConfigError, match=r"2 errors.*steps.*batch"):
        make_config(EncoderConfig, preset("encoder", "tiny", steps=0, batch=0))


def test_make_config__values_out_of_json():
    values = preset("detector", "tiny")
    assert make_config(DetectorConfig, json.loads(json.dumps(values))) == make_config(DetectorConfig, values)


def test_make_config__no_json_object():
    with pytest.raises(ConfigError, match="DetectorConfig"):
        make_config(DetectorConfig, [1])
