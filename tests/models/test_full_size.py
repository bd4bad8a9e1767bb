"""The full-size encoder and classifier, from their published configurations with random weights: a step, and back."""

import torch  # noqa: TID253

from curation.schemas import PAIRS
from curation.tables import rows_to_batch, write_shard
from models.classifier.infer import Classifier
from models.encoder.infer import Encoder
from models.encoder.model import ImageEncoder
from models.encoder.train import build
from models.presets import preset
from models.run import train
from tests.models import toys

SWIN_B = {  # microsoft/swin-base-patch4-window7-224
    "model_type": "swin",
    "patch_size": 4,
    "embed_dim": 128,
    "depths": [2, 2, 18, 2],
    "num_heads": [4, 8, 16, 32],
    "window_size": 7,
    "drop_path_rate": 0.1,
}
VIT_B = {  # google/vit-base-patch16-224-in21k
    "model_type": "vit",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "patch_size": 16,
    "image_size": 224,
}
STEP = {"pretrained": "", "steps": 1, "batch": 2, "evaluations": 1, "threads": 1, "checkpoint_every": 0.0}


def parameters(folder):
    return (folder / "model.safetensors").stat().st_size / 4


def test_train_encoder__swin_b(tmp_path, monkeypatch):
    data, images, started, saved = tmp_path / "pairs", torch.rand(1, 3, 224, 224), [], []

    def built(config):
        network, processor = build(config)
        started.append(network.embedding_layer.weight.detach().clone())
        return network, processor

    def save(network, folder):
        saved.append(network.eval()(images).detach())
        write(network, folder)

    write = ImageEncoder.save
    monkeypatch.setattr("models.encoder.train.build", built)
    monkeypatch.setattr(ImageEncoder, "save", save)
    for split, products in (("train", (1, 2)), ("validation", (3,))):
        rows = [toys.pair_row("top", product, 0, split) for product in products]
        write_shard(data, f"{split}-00000", PAIRS, [rows_to_batch(rows, PAIRS)], fingerprint=split)
    changes = {**STEP, "architecture": SWIN_B, "distractors": 0, "in_memory": True, "gradient_checkpointing": True}
    manifest = train("encoder", preset("encoder", "full", **changes), data, tmp_path / "out")
    assert manifest.metrics["r@1"] == 1.0  # among one product
    assert 86e6 < parameters(tmp_path / "out") < 90e6
    loaded = ImageEncoder.load(tmp_path / "out").eval()
    torch.testing.assert_close(loaded(images).detach(), saved[0])
    assert not torch.equal(loaded.embedding_layer.weight, started[0])
    assert Encoder.load(tmp_path / "out", engine="torch").embed([toys.thumbnail("top", 1)]).shape == (1, 128)


def test_train_classifier__vit_b(tmp_path):
    catalog = toys.catalog_table(tmp_path / "catalog", per_class=3).root
    changes = {**STEP, "architecture": VIT_B, "validation_share": 0.1}
    manifest = train("classifier", preset("classifier", "full", **changes), catalog, tmp_path / "out")
    assert 0 <= manifest.metrics["accuracy"] <= 1
    assert 85e6 < parameters(tmp_path / "out") < 88e6
    assert Classifier.load(tmp_path / "out", engine="torch").probabilities([toys.thumbnail("hat", 1)]).shape == (1, 8)
