"""The classifier trained on toy thumbnails, its checkpoint and its step."""

import json
import os
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from curation.images import encode_jpeg
from curation.taxonomy import LABELS
from models.checkpoint import open_checkpoint
from models.classifier.calibration import Calibration, calibrate, softmax
from models.classifier.data import read_held_out, read_thumbnails
from models.classifier.gate import weigh_classifier
from models.classifier.infer import TEMPERATURE, THRESHOLD, Classifier
from models.classifier.step import ClassifyThumbnails
from models.classifier.train import held_out_metrics
from models.classifier.worn import read_worn
from models.errors import CheckpointError, ConfigError
from models.presets import preset
from models.progress import read_progress
from models.run import train
from tests.models import toys
from tests.models.conftest import TINY


@pytest.fixture(scope="module")
def trained(catalog, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "classifier"
    values = preset("classifier", "tiny", **{**TINY, "steps": 40, "batch": 32, "height": 32, "width": 32})
    return out, train("classifier", values, catalog, out)


def test_train_classifier__learns(trained):
    _, manifest = trained
    assert manifest.metrics["accuracy"] > 0.9
    assert manifest.labels == list(LABELS)
    assert np.trace(manifest.metrics["confusion"]) > 0.9 * np.sum(manifest.metrics["confusion"])


def test_classifier__same_answers_after_loading(trained):
    out, _ = trained
    images = [toys.thumbnail(label, 77_000 + index) for index, label in enumerate(LABELS)]
    probabilities = Classifier.load(out).probabilities(images)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert (probabilities.argmax(1) == np.arange(8)).mean() >= 7 / 8
    alone = np.concatenate([Classifier.load(out).probabilities([image]) for image in images])
    np.testing.assert_allclose(alone, probabilities, atol=1e-4)


def test_classifier__calibration_travels_with_the_network(trained):
    out, manifest = trained
    classifier, metrics = Classifier.load(out), manifest.metrics
    assert (classifier.temperature, classifier.threshold) == (metrics["temperature"], metrics["threshold"])
    images = [toys.thumbnail("hat", 9), toys.thumbnail("bag", 9)]
    scaled = softmax(classifier.logits(images) / classifier.temperature)
    np.testing.assert_allclose(classifier.probabilities(images), scaled)
    assert 0 < classifier.threshold <= 1
    assert metrics["ece"] < 0.1


def test_classifier__published_one_has_the_prior_threshold(trained, tmp_path):
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((trained[0] / name).read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    plain = {name: value for name, value in config.items() if name not in (TEMPERATURE, THRESHOLD)}
    (tmp_path / "config.json").write_text(json.dumps(plain))
    published = Classifier.load(tmp_path)
    assert (published.temperature, published.threshold) == (1.0, 0.8)
    assert published.version != trained[1].version


def test_classifier__no_picture(trained):
    assert Classifier.load(trained[0]).probabilities([]).shape == (0, 8)


def test_train_classifier__continues_from_a_checkpoint_directory(trained, catalog, tmp_path):
    values = preset("classifier", "tiny", **{**TINY, "steps": 1, "learning_rate": 1e-6})
    values = {**values, "architecture": {}, "pretrained": str(trained[0])}
    with pytest.raises(ConfigError, match=r"height 64, width 64: .* takes 32×32 px"):
        train("classifier", values, catalog, tmp_path / "again")
    again = train("classifier", {**values, "height": 32, "width": 32}, catalog, tmp_path / "again")
    assert again.metrics["accuracy"] > 0.9


def test_held_out_metrics__a_product_is_measured_by_the_calibration_of_others(trained, catalog, monkeypatch):
    held_out, _ = read_thumbnails([catalog], (36, 36))
    fitted = []

    def recorded(logits, labels, *arguments):
        fitted.append(logits)
        return calibrate(logits, labels, *arguments)

    monkeypatch.setattr("models.classifier.train.calibrate", recorded)
    metrics = held_out_metrics(Classifier.load(trained[0]), held_out, 0.99)
    whole, *parts = fitted
    assert len(whole) == len(held_out)
    assert [len(part) for part in parts] == [4 * len(held_out) // 5] * 5
    assert metrics["temperature"] == calibrate(whole, held_out.labels, 0.99, LABELS.index("etc")).temperature


def test_held_out_metrics__each_product_has_the_temperature_and_threshold_of_others(monkeypatch):
    products = [f"p{row // 2}" for row in range(40)]
    logits = np.zeros((40, 8))
    logits[:, 1] = np.arange(40)  # tells the rows apart
    fitted, judged = [], []

    def calibrate(logits, labels, *_):
        fitted.append(set(logits[:, 1]))
        return Calibration(float(len(fitted)), len(fitted) / 10, 1.0, 1.0, np.zeros(len(labels), bool))

    monkeypatch.setattr("models.classifier.train.held_out_logits", lambda *_: logits)
    monkeypatch.setattr("models.classifier.train.calibrate", calibrate)
    monkeypatch.setattr("models.classifier.train.classification_metrics", lambda *told: judged.append(told) or {})
    held_out_metrics(None, SimpleNamespace(labels=np.ones(40, int), products=products), 0.95)
    _, probabilities, _, thresholds, _ = judged[0]
    for row, threshold in enumerate(thresholds):
        number = round(10 * threshold)
        assert not fitted[number - 1] & {other for other in range(40) if products[other] == products[row]}
        np.testing.assert_allclose(probabilities[row], softmax(logits[row : row + 1] / number)[0])


def test_train_classifier__annotated_photos_train_too(trained, catalog, photos, tmp_path):
    worn, _ = read_worn(photos, (8, 8))
    values = preset("classifier", "tiny", **{**TINY, "steps": 2, "batch": 16, "height": 32, "width": 32})
    manifest = train("classifier", {**values, "boxes": os.path.relpath(photos, catalog)}, catalog, tmp_path)
    alone, both = (read_progress(folder / "progress.jsonl")[0] for folder in (trained[0], tmp_path))
    assert (both["train"], both["validation"]) == (alone["train"] + len(worn), alone["validation"])
    assert manifest.data_fingerprint != trained[1].data_fingerprint
    assert "| toy | CC0 | yes |" in (tmp_path / "README.md").read_text()


def test_train__wrong_value_starts_nothing(catalog, tmp_path):
    with pytest.raises(ConfigError, match="batch"):
        train("classifier", preset("classifier", "tiny", batch=-1), catalog, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_train__data_is_no_directory(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        train("classifier", preset("classifier", "tiny"), tmp_path / "nowhere", tmp_path / "out")


def test_classify_thumbnails__each_row_has_its_reason(trained, tmp_path):
    out, manifest = trained
    large = encode_jpeg(toys.thumbnail("hat", 5))
    pictures = [
        ("product", large),
        ("photo", large),
        ("product", encode_jpeg(toys.thumbnail("hat", 5, side=199))),
        ("product", encode_jpeg(toys.thumbnail("etc", 5))),
        ("product", large[:200]),
        ("product", b"<html>"),
        ("product", None),
    ]
    shard = toys.posts_table(tmp_path, pictures).shards[0]
    counts: Counter[str] = Counter()
    step = ClassifyThumbnails(str(out), manifest.version, min_probability=0.2)
    rows = [row for batch in step(shard, counts=counts) for row in batch.to_pylist()]
    assert [row["post_id"] for row in rows] == [0, 2, 3, 4, 5, 6]
    assert [row["reason"] for row in rows] == [None, "too_small", "etc", "bad_image", "bad_image", "bad_image"]
    assert rows[0]["kept"]
    assert (rows[0]["category"], rows[0]["classifier_version"]) == ("hat", manifest.version)
    assert rows[5]["category"] is None
    assert counts == {"kept": 1, "too_small": 1, "etc": 1, "bad_image": 3}


def test_classify_thumbnails__unsure(trained, tmp_path):
    shard = toys.posts_table(tmp_path, [("product", encode_jpeg(toys.thumbnail("hat", 5)))]).shards[0]
    step = ClassifyThumbnails(str(trained[0]), trained[1].version, min_probability=1.0)
    (row,) = next(step(shard, counts=Counter())).to_pylist()
    assert row["reason"] == "low_probability"


def test_classify_thumbnails__another_version(trained):
    with pytest.raises(CheckpointError, match="asked for other"):
        ClassifyThumbnails(str(trained[0]), "other")


def test_classifier__refuses_a_detector(trained):
    assert open_checkpoint(trained[0], "classifier")[1] == trained[1]
    with pytest.raises(CheckpointError, match="of kind classifier"):
        open_checkpoint(trained[0], "detector")


def test_weigh_classifier__one_that_did_not_learn_is_refused(trained, catalog, tmp_path, monkeypatch):
    good, bad = trained[0], tmp_path / "classifier"
    train("classifier", preset("classifier", "tiny", **{**TINY, "steps": 1, "height": 32, "width": 32}), catalog, bad)
    refused, passed = (weigh_classifier(new, old, catalog, margin=0.2) for new, old in ((bad, good), (good, good)))
    assert (refused.passed, passed.passed) == (False, True)
    assert "significantly worse" in refused.reason
    small = tmp_path / "small"
    train("classifier", preset("classifier", "tiny", **{**TINY, "steps": 1, "height": 16, "width": 16}), catalog, small)
    sizes = []

    def recorded(shop, size, *arguments):
        sizes.append(size)
        return read_held_out(shop, size, *arguments)

    monkeypatch.setattr("models.classifier.gate.read_held_out", recorded)
    weigh_classifier(small, good, catalog, margin=0.05)
    assert sizes == [(32, 32)]  # sharp enough for the one that sees more
    first = weigh_classifier(good, None, catalog, margin=0.05)
    assert first.passed
    assert "best baseline (commonest category)" in first.reason


@pytest.mark.parametrize(("new", "old"), [(0.3, 0.1), (0.1, 0.3)])
def test_weigh_classifier__on_products_that_neither_has_learned_from(monkeypatch, new, old):
    asked = []

    def read_held_out(shop, size, share, folder):
        asked.append(share)
        return SimpleNamespace(labels=np.ones(40, int), products=[str(row) for row in range(40)])

    manifests = {Path(str(share)): SimpleNamespace(config={"validation_share": share}) for share in (new, old)}
    monkeypatch.setattr("models.classifier.gate.open_checkpoint", lambda path, _: (path, manifests[path]))
    monkeypatch.setattr(Classifier, "load", lambda _: SimpleNamespace(input_size=(8, 8)))
    monkeypatch.setattr("models.classifier.gate.read_held_out", read_held_out)
    monkeypatch.setattr("models.classifier.gate.held_out_logits", lambda *_: np.eye(8)[np.ones(40, int)])
    weigh_classifier(Path(str(new)), Path(str(old)), Path("shop"), margin=0.1)
    assert asked == [0.1]
