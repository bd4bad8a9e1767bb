"""The full-size encoder and classifier, from their published configurations with random weights: a step, and back."""

import numpy as np

from curation.schemas import PAIRS
from curation.tables import rows_to_batch, write_shard
from models.classifier.infer import Classifier
from models.encoder.infer import Encoder
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


def test_train_encoder__swin_b(tmp_path):
    data = tmp_path / "pairs"
    for split, products in (("train", (1, 2)), ("validation", (3,))):
        rows = [toys.pair_row("top", product, 0, split) for product in products]
        write_shard(data, f"{split}-00000", PAIRS, [rows_to_batch(rows, PAIRS)], fingerprint=split)
    changes = {**STEP, "architecture": SWIN_B, "distractors": 0, "in_memory": True, "gradient_checkpointing": True}
    manifest = train("encoder", preset("encoder", "full", **changes), data, tmp_path / "out")
    assert manifest.metrics["r@1"] == 1.0  # among one product
    assert 86e6 < parameters(tmp_path / "out") < 90e6
    vectors = Encoder.load(tmp_path / "out", engine="torch").embed([toys.thumbnail("top", 1)])
    assert vectors.shape == (1, 128)
    np.testing.assert_allclose(np.linalg.norm(vectors), 1, atol=1e-5)


def test_train_classifier__vit_b(tmp_path):
    catalog = toys.catalog_table(tmp_path / "catalog", per_class=3).root
    changes = {**STEP, "architecture": VIT_B, "validation_share": 0.1}
    manifest = train("classifier", preset("classifier", "full", **changes), catalog, tmp_path / "out")
    assert 0 <= manifest.metrics["accuracy"] <= 1
    assert 85e6 < parameters(tmp_path / "out") < 88e6
    assert Classifier.load(tmp_path / "out", engine="torch").probabilities([toys.thumbnail("hat", 1)]).shape == (1, 8)
