"""Model cards: metadata that the hub reads, results with intervals, terms of the data."""

import json

import pytest
from huggingface_hub import ModelCard

from models.card import add_result, read_sources, write_card
from models.checkpoint import open_checkpoint
from tests.models.test_checkpoint import save

DRAWN = {"drawn": {"licence": "drawn by this project (MIT)", "commercial": True}}
RESULT = {
    "dataset": "abc",
    "split": "test",
    "metrics": {"r@1": {"mean": 0.81234, "low": 0.7, "high": 0.9}, "ece": 0.02},
}


@pytest.fixture
def checkpoint(tmp_path):
    save(tmp_path / "model", kind="encoder")
    return tmp_path / "model"


def test_write_card__metadata_for_the_hub(checkpoint):
    write_card(checkpoint, DRAWN)
    data = ModelCard.load(checkpoint / "README.md").data
    assert (data.license, data.pipeline_tag, data.library_name) == ("mit", "image-feature-extraction", "transformers")
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_split) == ("map", 0.5, "validation")


def test_add_result__replaces_the_one_on_the_same_data(checkpoint):
    write_card(checkpoint, DRAWN)
    add_result(checkpoint, {**RESULT, "metrics": {"r@1": 0.1}})
    add_result(checkpoint, RESULT)
    card = ModelCard.load(checkpoint / "README.md")
    measured = {row.metric_type: row.metric_value for row in card.data.eval_results}
    assert measured == {"map": 0.5, "r@1": 0.8123, "ece": 0.02}
    assert "| abc, test | r@1 | 0.8123 (0.700-0.900) |" in card.text
    assert "drawn by this project (MIT)" in card.text  # still there
    open_checkpoint(checkpoint, "encoder")  # a card is no part of the version


def test_read_sources__none_in_the_manifest(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"version": "0001", "sources": {}}))
    assert read_sources(tmp_path) == {tmp_path.name: {"licence": "not on record", "commercial": False}}


def test_write_card__terms_of_every_source(checkpoint):
    write_card(checkpoint, {**DRAWN, "modanet": {"licence": "CC BY-NC 4.0", "commercial": False}})
    card = ModelCard.load(checkpoint / "README.md")
    assert (card.data.license, card.data.license_name) == ("other", "terms-of-the-training-data")
    assert "| modanet | CC BY-NC 4.0 | not cleared |" in card.text


def test_write_card__nothing_known_of_the_data(checkpoint):
    write_card(checkpoint, {})
    card = ModelCard.load(checkpoint / "README.md")
    assert card.data.license == "other"
    assert "not on record" in card.text


@pytest.mark.parametrize(
    ("licence", "commercial", "free"),
    [("MIT", True, "mit"), ("drawn by this project (MIT)", True, "mit"), ("MIT", False, "other"),
     ("COMMERCIAL USE NOT PERMITTED", True, "other"), ("not MIT, all rights reserved", True, "other")],
)  # fmt: skip
def test_write_card__free_only_where_all_data_is(checkpoint, licence, commercial, free):
    write_card(checkpoint, {**DRAWN, "other": {"licence": licence, "commercial": commercial}})
    assert ModelCard.load(checkpoint / "README.md").data.license == free


@pytest.mark.parametrize("name", ["dataset.json", "manifest.json"])
def test_read_sources(tmp_path, name):
    assert read_sources(tmp_path) == {tmp_path.name: {"licence": "not on record", "commercial": False}}
    (tmp_path / name).write_text(json.dumps({"sources": DRAWN}))
    assert read_sources(tmp_path) == DRAWN


def test_write_card__numbers_by_class_too(tmp_path):
    save(tmp_path / "model", kind="detector", metrics={"map": 0.5, "ap50_by_class": {"hat": 0.25}, "reliability": []})
    write_card(tmp_path / "model", DRAWN)
    card = ModelCard.load(tmp_path / "model" / "README.md")
    assert "| ap50_by_class/hat | 0.25 |" in card.text
    assert {it.metric_type for it in card.data.eval_results} == {"map", "ap50_by_class/hat"}
