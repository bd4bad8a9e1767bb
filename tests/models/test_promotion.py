"""Versions of a model, the gate's arithmetic, and the ledger."""

import json

import numpy as np
import pytest

from curation.versions import VersionError
from models.checkpoint import open_checkpoint
from models.promotion import ModelVersions, Verdict, beats, not_worse
from tests.models.test_checkpoint import save

PASS, FAIL = Verdict(True, "good"), Verdict(False, "bad", {"margin": 0.05})
QUERIES = np.arange(200) // 4  # four of each product


def answers(*wrong):
    """R@1 of 200 queries: all right but those in the given ranges."""
    values = np.ones(200)
    for start, stop in wrong:
        values[start:stop] = 0
    return values


@pytest.fixture
def versions(tmp_path):
    return ModelVersions(tmp_path / "models" / "encoder")


def trained(tmp_path, text):
    return save(tmp_path / "candidate", text.encode()), tmp_path / "candidate"


def test_add__keeps_a_candidate_without_using_it(tmp_path, versions):
    manifest, candidate = trained(tmp_path, "one")
    assert versions.add(candidate) == "0001"
    assert versions.current is None
    assert versions.add(candidate) == "0001"  # the same weights are the same version
    assert versions.find(manifest.version) == versions.folder / "0001"
    assert versions.find("other") is None


def test_decide__refused_one_changes_nothing(tmp_path, versions):
    for text, verdict in (("one", PASS), ("two", FAIL)):
        versions.decide(versions.add(trained(tmp_path, text)[1]), verdict)
    assert versions.current.name == "0001"
    assert open_checkpoint(versions.link, "detector")[1].version == versions.ledger()[0]["digest"]
    last = versions.ledger()[-1]
    assert (last["version"], last["decision"], last["reason"], last["in_use"]) == ("0002", "refused", "bad", "0001")
    assert versions.decided("0002")["numbers"] == {"margin": 0.05}
    assert versions.decided("0003") is None


def test_ledger__line_that_was_never_finished(tmp_path, versions):
    for text in ("one", "two"):
        versions.decide(versions.add(trained(tmp_path, text)[1]), PASS)
    path = versions.folder / "promotions.jsonl"
    path.write_text(path.read_text()[:-20])
    assert [row["version"] for row in versions.ledger()] == ["0001"]
    versions.promote("0002", "again")
    assert [row["version"] for row in versions.ledger()] == ["0001", "0002"]


def test_decide__whoever_is_loading_the_model_in_use_goes_on_with_that_one(tmp_path, versions):
    versions.decide(versions.add(trained(tmp_path, "one")[1]), PASS)
    path, manifest = open_checkpoint(versions.link, "detector")
    versions.decide(versions.add(trained(tmp_path, "two")[1]), PASS)
    assert open_checkpoint(path, "detector")[1] == manifest != open_checkpoint(versions.link, "detector")[1]


def test_rollback__and_back_again(tmp_path, versions):
    for text, verdict in (("one", PASS), ("two", FAIL), ("three", PASS)):
        versions.decide(versions.add(trained(tmp_path, text)[1]), verdict)
    assert versions.rollback("complaints") == "0001"
    assert versions.rollback("they were wrong") == "0003"
    assert [row["decision"] for row in versions.ledger()] == ["promoted", "refused", "promoted", *["rolled back"] * 2]
    versions.promote("0002", "for a try")
    assert versions.current.name == "0002"
    assert versions.decided("0002")["decision"] == "refused"  # what the gate said stays on record


def test_rollback__to_the_latest_of_several(tmp_path, versions):
    for text, verdict in (("one", PASS), ("two", PASS), ("three", PASS), ("four", FAIL)):
        versions.decide(versions.add(trained(tmp_path, text)[1]), verdict)
    assert versions.earlier == "0002"
    versions.promote("0001", "it was the best")
    assert versions.expire_old(1) == ["0002"]  # none of the newest, the one in use, and the one to return to
    assert versions.rollback("it was not") == "0003"


def test_rollback__nothing_to_return_to(tmp_path, versions):
    versions.decide(versions.add(trained(tmp_path, "one")[1]), PASS)
    with pytest.raises(VersionError, match="no earlier version"):
        versions.rollback("?")
    with pytest.raises(VersionError, match="must be one of 0001, got '0007'"):
        versions.promote("0007", "?")


def test_add__checkpoint_of_the_time_before_versions(tmp_path, versions):
    before = save(versions.link, b"old")
    assert versions.add(trained(tmp_path, "new")[1]) == "0002"
    assert versions.current.name == "0001"
    assert open_checkpoint(versions.link, "detector")[1] == before


def test_not_worse__equal_and_better_pass():
    current = answers((0, 40))
    for candidate in (current, answers((0, 20))):
        assert not_worse(candidate, current, QUERIES, margin=0.06).passed


def test_not_worse__few_products_rule_no_loss_out():
    """Equal on ten products, which says little of the next ones; much better on them says enough."""
    few = QUERIES < 10
    assert not not_worse(answers()[few], answers()[few], QUERIES[few], margin=0.05).passed
    assert not_worse(answers()[few], answers((0, 24))[few], QUERIES[few], margin=0.05).passed


def test_not_worse__clearly_worse_is_refused_with_the_numbers():
    verdict = not_worse(answers((0, 120)), answers((0, 40)), QUERIES, margin=0.05, measure="r@1")
    assert not verdict.passed
    assert verdict.reason.startswith("r@1 0.400, in use 0.800: -0.400 (")
    assert verdict.reason.endswith("p 0.002), significantly worse")
    assert (verdict.numbers["difference"], verdict.numbers["better"], verdict.numbers["worse"]) == (-0.4, 0, 80)
    json.dumps(verdict.numbers)


def test_not_worse__unsure_is_refused_unless_the_margin_is_wide():
    worse = answers((0, 48)), answers((0, 40))  # two products of fifty
    assert not not_worse(*worse, QUERIES, margin=0.02).passed
    assert not not_worse(answers((0, 8)), answers(), QUERIES, margin=0.05).passed  # worse by 0.04, or by more
    assert "may be worse by 0.020" in not_worse(*worse, QUERIES, margin=0.02).reason
    assert not_worse(*worse, QUERIES, margin=0.2).passed


def test_beats__the_best_baseline():
    assert beats("r@1", 0.5, {"histogram": 0.4, "phash": 0.1}).passed
    verdict = beats("r@1", 0.4, {"histogram": 0.4, "phash": 0.1})
    assert not verdict.passed
    assert verdict.reason == "the first model: r@1 0.400, best baseline (histogram) 0.400"
