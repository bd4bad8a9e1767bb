"""The encoder trained on toy pairs, its published usage, its step and its report."""

import shutil
from collections import Counter

import numpy as np
import pytest
import torch  # noqa: TID253
from huggingface_hub import HfApi
from PIL import Image
from safetensors.torch import load_file, save_file

from curation.tables import ShardedTable
from models.checkpoint import MANIFEST, open_checkpoint
from models.config import make_config
from models.encoder.baselines import histogram, perceptual_hash
from models.encoder.config import EncoderConfig
from models.encoder.evaluate import mean_of
from models.encoder.gate import weigh_encoder
from models.encoder.infer import Encoder
from models.encoder.model import ImageEncoder as Network
from models.encoder.report import BASELINES, by_category, evaluate_encoders, uniform
from models.encoder.step import EmbedCatalog
from models.encoder.train import build
from models.errors import CheckpointError, ConfigError, DataError, MetricError
from models.hub import push_to_hub
from models.presets import preset
from models.run import train
from tests.models import toys
from tests.models.conftest import TINY

SMALL = {
    **TINY,
    "height": 32,
    "width": 32,
    "batch": 32,
    "processes": 1,
    "architecture": {
        "model_type": "swin",
        "patch_size": 4,
        "embed_dim": 24,
        "depths": [1, 1],
        "num_heads": [2, 4],
        "window_size": 4,
    },
}


@pytest.fixture(scope="module")
def trained(pairs, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "encoder"
    return out, train("encoder", preset("encoder", "tiny", **{**SMALL, "steps": 150}), pairs, out)


def test_train_encoder__learns(trained, pairs, tmp_path):
    _, manifest = trained
    values = preset("encoder", "tiny", **{**SMALL, "steps": 1, "learning_rate": 1e-9})
    untrained = train("encoder", values, pairs, tmp_path / "untrained")
    assert untrained.metrics["r@1"] < 0.15  # about one in ten products of a category
    assert manifest.metrics["r@1"] > 0.4
    assert manifest.metrics["step"] == 150
    assert len(manifest.data_fingerprint) == 20


def test_train_encoder__layout_of_the_published_checkpoints(trained):
    state = load_file(trained[0] / "model.safetensors")
    assert state["embedding_layer.weight"].shape == (128, 48)
    assert all(name.startswith(("swin.", "embedding_layer.")) for name in state)


def test_train_encoder__published_usage_runs_on_it(trained):
    """The way people use the published checkpoint, on ours: only its name differs. It sees the whole picture alone."""
    import torchvision.transforms as v2
    from huggingface_hub import PyTorchModelHubMixin
    from torch import nn
    from transformers import AutoImageProcessor, SwinConfig, SwinModel

    ckpt = str(trained[0])
    encoder_config = SwinConfig.from_pretrained(ckpt)
    encoder_image_processor = AutoImageProcessor.from_pretrained(ckpt)

    class ImageEncoder(nn.Module, PyTorchModelHubMixin):
        def __init__(self):
            super().__init__()
            self.swin = SwinModel(config=encoder_config)
            self.embedding_layer = nn.Linear(encoder_config.hidden_size, 128)

        def forward(self, image_tensor):
            features = self.swin(image_tensor).pooler_output
            return nn.functional.normalize(self.embedding_layer(features), p=2, dim=1)

    encoder = ImageEncoder().from_pretrained(ckpt)
    transform = v2.Compose(
        [
            v2.Resize((encoder_config.image_size, encoder_config.image_size)),
            v2.ToTensor(),
            v2.Normalize(mean=encoder_image_processor.image_mean, std=encoder_image_processor.image_std),
        ]
    )
    image = toys.worn("top", 3, 1)
    with torch.no_grad():
        embedding = encoder(transform(image).unsqueeze(0)).numpy()
    encoder_image_processor.scales = [1.0]
    ours = Encoder(Network.load(trained[0]), encoder_image_processor, "", torch.device("cpu"))
    np.testing.assert_allclose(embedding, ours.embed([image]), atol=1e-5)


def test_encoder__a_published_checkpoint_without_manifest_loads(trained, tmp_path):
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((trained[0] / name).read_bytes())
    encoder = Encoder.load(tmp_path)
    assert (encoder.version, encoder.dimension) == (trained[1].version, 128)
    assert not (tmp_path / MANIFEST).exists()


def test_encoder__unit_vectors_whatever_the_batch(trained):
    encoder = Encoder.load(trained[0])
    images = [toys.thumbnail("top", index) for index in range(7)]
    vectors = encoder.embed(images)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(encoder.embed(images, batch=2), vectors, atol=1e-4)
    assert encoder.embed([]).shape == (0, 128)


@pytest.mark.parametrize(
    "architecture",
    [
        {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
        {"model_type": "vit", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 8,
         "intermediate_size": 32},
    ],
    ids=["resnet", "vit"],
)  # fmt: skip
def test_train_encoder__other_architectures_by_configuration(pairs, tmp_path, architecture):
    values = preset("encoder", "tiny", **{**SMALL, "architecture": architecture, "steps": 2, "dimension": 16})
    train("encoder", values, pairs, tmp_path / "encoder")
    assert Encoder.load(tmp_path / "encoder").embed([toys.thumbnail("top", 1)]).shape == (1, 16)


def test_train_encoder__backbone_from_a_checkpoint_directory(trained, pairs, tmp_path):
    from transformers import AutoModel, ViTImageProcessor

    from models.encoder.model import ImageEncoder

    backbone = ImageEncoder.load(trained[0]).backbone
    backbone.save_pretrained(tmp_path / "backbone")
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path / "backbone")
    values = preset("encoder", "tiny", **{**SMALL, "steps": 1, "learning_rate": 1e-9})
    values = {**values, "architecture": {}, "pretrained": str(tmp_path / "backbone")}
    train("encoder", values, pairs, tmp_path / "encoder")
    again = ImageEncoder.load(tmp_path / "encoder").backbone
    assert isinstance(again, type(AutoModel.from_pretrained(tmp_path / "backbone")))
    for first, second in zip(backbone.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(first, second, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"micro_batch": 10, "matryoshka": [16, 64], "ema": 0.9},
        {"hard_negatives": 0.5, "mine_every": 20},
        {"hard_negatives": 0.5, "mine_every": 20, "in_memory": False},
        {"loss": "classification", "margin": 0.1, "precision": "bfloat16", "steps": 300},  # centres learn slowly
        {"loss": "triplet"},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_train_encoder__every_option_learns(pairs, tmp_path, changes):
    values = preset("encoder", "tiny", **{**SMALL, "steps": 100, "cache_dir": str(tmp_path / "cache"), **changes})
    metrics = train("encoder", values, pairs, tmp_path / "encoder").metrics
    scores = [metrics["r@1"], *(metrics[f"r@1_of_{length}"] for length in changes.get("matryoshka", []))]
    assert min(scores) > 0.2, metrics  # less than 0.1 before training


def test_train_encoder__one_category(pairs, tmp_path):
    values = preset("encoder", "tiny", **{**SMALL, "steps": 2, "categories": ["hat"]})
    manifest = train("encoder", values, pairs, tmp_path / "hat")
    assert manifest.labels == ["hat"]


def test_train_encoder__no_pair_of_the_category(pairs, tmp_path):
    with pytest.raises(DataError, match="umbrella"):
        train("encoder", preset("encoder", "tiny", **{**SMALL, "categories": ["umbrella"]}), pairs, tmp_path / "x")


def test_embed_catalog__rows_of_the_seven_classes(trained, tmp_path):
    out, manifest = trained
    table = toys.catalog_table(tmp_path, per_class=2)
    step = EmbedCatalog(str(out), manifest.version)
    counts: Counter[str] = Counter()
    rows = [row for shard in table.shards for batch in step(shard, counts=counts) for row in batch.to_pylist()]
    assert counts == {"kept": 14, "etc": 2}
    assert {row["encoder_version"] for row in rows} == {manifest.version}
    np.testing.assert_allclose(np.linalg.norm([row["vector"] for row in rows], axis=1), 1, atol=1e-5)
    assert all(row["thumbnail"][:2] == b"\xff\xd8" for row in rows)


def test_embed_catalog__another_version(trained):
    with pytest.raises(CheckpointError, match="asked for other"):
        EmbedCatalog(str(trained[0]), "other")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A catalog with the very products of the pairs."""
    return toys.catalog_table(tmp_path_factory.mktemp("shop"), per_class=10)


def test_evaluate_encoders__against_the_catalog(trained, pairs, shop):
    report = evaluate_encoders(
        {"encoder": uniform(Encoder.load(trained[0]).embed), **BASELINES}, pairs, shop, examples=3
    )
    numbers = report.numbers
    assert (numbers["queries"], numbers["gallery"], numbers["not_in_catalog"]) == (42, 70, 0)
    assert set(numbers["encoders"]) == {"encoder", "histogram", "phash"}
    filtered, unfiltered = (numbers["encoders"]["encoder"][name] for name in ("filtered", "unfiltered"))
    assert mean_of(filtered, "r@1") >= mean_of(unfiltered, "r@1")
    assert mean_of(filtered, "r@10") == 1.0  # ten products per category
    assert mean_of(filtered, "r@1") > 0.3
    against = numbers["comparisons"]["encoder - phash"]["r@1"]
    means = [mean_of(numbers["encoders"][name]["filtered"], "r@1") for name in ("encoder", "phash")]
    assert against["mean"] == pytest.approx(means[0] - means[1])
    assert against["low"] <= against["mean"] <= against["high"]
    assert numbers["encoders"]["encoder"]["filtered"]["overall"]["clusters"] == 14  # products; there are more posts
    assert len(report.worst) == 3
    assert report.worst[0].rank >= report.worst[2].rank
    assert len(report.worst[0].found) == 5


def test_evaluate_encoders__truth_decides_what_a_crop_shows(trained, pairs, shop):
    encoders = {"encoder": uniform(Encoder.load(trained[0]).embed)}

    def product_of(row):
        return None if row["category"] != "hat" else ("kream", str(int(row["product_id"]) + 1))

    told, true = (
        evaluate_encoders(encoders, pairs, shop, product_of=judge, examples=0).numbers for judge in (None, product_of)
    )
    assert (told["queries"], true["queries"], true["not_in_catalog"]) == (42, 6, 36)
    hat = told["encoders"]["encoder"]["filtered"]["by_category"]["hat"]["mrr"]["mean"]
    assert mean_of(true["encoders"]["encoder"]["filtered"], "mrr") < hat


def test_evaluate_encoders__product_filed_elsewhere_is_a_miss(trained, pairs, shop, tmp_path):
    from curation.schemas import CATALOG
    from curation.tables import rows_to_batch, write_shard

    for shard in shop.shards:
        moved = {"outer": "top", "top": "outer"}
        rows = [{**row, "category": moved.get(row["category"], row["category"])} for row in shard.table().to_pylist()]
        write_shard(tmp_path, shard.name, CATALOG, [rows_to_batch(rows, CATALOG)], fingerprint="x")
    numbers = evaluate_encoders({"hash": uniform(perceptual_hash)}, pairs, ShardedTable(tmp_path), examples=0).numbers
    assert numbers["other_category"] == 12
    assert numbers["encoders"]["hash"]["filtered"]["by_category"]["top"]["r@20"]["mean"] == 0.0


def test_evaluate_encoders__nothing_in_common(pairs, tmp_path):
    from curation.schemas import CATALOG
    from curation.tables import rows_to_batch, write_shard

    shard = toys.catalog_table(tmp_path / "a", per_class=1).shards[0]
    rows = [{**row, "product_id": "unknown"} for row in shard.table().to_pylist()]
    write_shard(tmp_path / "b", "kream/x", CATALOG, [rows_to_batch(rows, CATALOG)], fingerprint="x")
    with pytest.raises(MetricError, match="none of 42 test pairs"):
        evaluate_encoders({"histogram": uniform(histogram)}, pairs, ShardedTable(tmp_path / "b"))


def test_weigh_encoder__worse_is_refused_and_equal_passes(trained, pairs, shop, tmp_path):
    """An encoder whose embedding collapsed to one vector, as a failed training leaves it."""
    out, manifest = trained
    collapsed = tmp_path / "collapsed"
    collapsed.mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        shutil.copy(out / name, collapsed)
    state = load_file(out / "model.safetensors")
    state["embedding_layer.weight"] *= 0
    save_file(state, collapsed / "model.safetensors", {"format": "pt"})

    def weigh(candidate, in_use):
        return weigh_encoder(candidate, in_use, pairs, shop, clusters={}, margin=0.2)  # of 14 products

    worse, _ = weigh(collapsed, out)
    assert not worse.passed
    assert "significantly worse" in worse.reason
    assert weigh(out, out)[0].passed
    better, result = weigh(out, collapsed)
    assert better.passed
    assert better.reason.endswith("significantly better")
    assert (result["dataset"], result["split"]) == (manifest.data_fingerprint, "test")
    assert result["metrics"]["r@1"]["mean"] == better.numbers["candidate"]
    assert result["metrics"].keys() >= {"r@10 of hat", "mrr of top", "ndcg in all categories", "r@1 minus in_use"}
    first, _ = weigh(out, None)
    assert first.numbers.keys() >= {"histogram", "phash"}


def test_open_checkpoint__encoder_is_verified(trained):
    assert open_checkpoint(trained[0], "encoder")[1] == trained[1]


def test_by_category__each_picture_goes_to_its_own_encoder():
    def constant(value):
        return lambda images: np.full((len(images), 2), value, np.float32)

    embed = by_category({"hat": constant(1), "bag": constant(2)}, constant(9))
    images = [Image.new("RGB", (4, 4))] * 4
    assert embed(images, ["bag", "hat", "top", "hat"])[:, 0].tolist() == [2, 1, 9, 1]


def test_train_encoder__goes_on_from_an_encoder_with_its_embedding_layer(trained, pairs, tmp_path):
    values = preset("encoder", "tiny", **{**SMALL, "steps": 1, "learning_rate": 1e-9})
    values = {**values, "architecture": {}, "pretrained": str(trained[0]), "categories": ["hat", "bag"]}
    train("encoder", values, pairs, tmp_path / "same")
    train("encoder", {**values, "dimension": 64}, pairs, tmp_path / "shorter")
    images = [toys.thumbnail("top", 1), toys.worn("bag", 2, 3)]
    before, after = (Encoder.load(path).embed(images) for path in (trained[0], tmp_path / "same"))
    np.testing.assert_allclose(after, before, atol=1e-4)
    assert Encoder.load(tmp_path / "shorter").dimension == 64
    with pytest.raises(ConfigError, match=r"height 64, width 64: .* takes 32×32 px"):
        train("encoder", {**values, "height": 64, "width": 64}, pairs, tmp_path / "larger")


@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload")  # the hub's client passes uploads in the old way
def test_build__an_encoder_on_the_hub_gives_its_embedding_layer(trained, hub):
    push_to_hub(trained[0], "encoder", "me/encoder", HfApi(endpoint=hub.url, token="hf_test"))
    config = make_config(EncoderConfig, {**SMALL, "architecture": {}, "pretrained": "me/encoder"})
    ours, _ = build(config)
    torch.testing.assert_close(ours.state_dict(), Network.load(trained[0]).state_dict())
