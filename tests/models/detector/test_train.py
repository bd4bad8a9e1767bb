"""The detector trained on toy people, its published usage and its step."""

import json
import resource
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID253
from PIL import Image

from curation.images import decode, encode_jpeg
from models.batches import Batches
from models.boxes import Detection, without_doubles
from models.config import make_config
from models.detector.config import DetectorConfig
from models.detector.data import DetectionPictures, TrainingBatches, of_picture
from models.detector.dataset import build_detection_dataset
from models.detector.gate import weigh_detector
from models.detector.infer import SAME_CLASS_IOU, Detector
from models.detector.step import CropPosts
from models.detector.train import share_of_objects
from models.errors import CheckpointError, DataError
from models.presets import preset
from models.progress import read_progress
from models.ranks import ALONE, Ranks
from models.run import train
from tests.models import toys
from tests.models.conftest import TINY

STEPS = 60


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("detection")
    folder = toys.coco_folder(root / "toy", 100)
    build_detection_dataset([toys.coco_source(folder)], root / "dataset", validation_share=0.2)
    return root / "dataset"


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "detector"
    values = preset("detector", "tiny", **{**TINY, "steps": STEPS, "batch": 8, "height": 96, "width": 96})
    return out, train("detector", values, dataset, out)


@pytest.fixture(scope="module")
def threshold(trained):
    """A score that some boxes of a barely trained detector reach."""
    found = Detector.load(trained[0]).detect([toys.person(seed)[0] for seed in range(6)], 0.0)
    return float(np.median([picture[0].score for picture in found]))


def test_train_detector__learns(trained):
    out, manifest = trained
    losses = [row["loss"] for row in read_progress(out / "progress.jsonl", "step")]
    assert losses[-1] < 0.75 * losses[0]
    assert manifest.metrics["ap50"] > 0
    assert manifest.labels[0] == "bag"
    assert manifest.preprocessing["size"] == {"height": 96, "width": 96}


def test_train_detector__published_usage_runs_on_it(trained):
    """The way people use the published checkpoint, on ours: only its name and the threshold differ."""
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    ckpt = str(trained[0])
    image_processor = AutoImageProcessor.from_pretrained(ckpt)
    detector = AutoModelForObjectDetection.from_pretrained(ckpt)
    image = toys.person(500)[0]
    with torch.no_grad():
        inputs = image_processor(images=[image], return_tensors="pt")
        outputs = detector(**inputs.to("cpu"))
        target_sizes = torch.tensor([[image.size[1], image.size[0]]])
        results = image_processor.post_process_object_detection(outputs, threshold=0.05, target_sizes=target_sizes)[0]
    items = [
        Detection(detector.config.id2label[label.item()], score.item(), tuple(i.item() for i in box))
        for score, label, box in zip(results["scores"], results["labels"], results["boxes"], strict=True)
    ]
    ours = Detector.load(ckpt).detect([image], 0.05)[0]
    assert ours
    assert ours == without_doubles(sorted(items, key=lambda item: -item.score), SAME_CLASS_IOU)


def test_detector__whatever_the_batch_and_sizes(trained, threshold):
    detector = Detector.load(trained[0])
    images = [toys.person(seed)[0] for seed in range(5)]
    images[2] = images[2].resize((320, 400))
    together, alone = detector.detect(images, threshold), detector.detect(images, threshold, batch=1)
    assert any(together)
    for first, second in zip(together, alone, strict=True):
        assert [item.category for item in first] == [item.category for item in second]
        for a, b in zip(first, second, strict=True):
            assert a.box == pytest.approx(b.box, abs=0.1)
            assert a.score == pytest.approx(b.score, abs=1e-3)
    assert detector.detect([], threshold) == []


def test_train_detector__continues_from_a_checkpoint_directory(trained, dataset, tmp_path):
    size = {"height": 96, "width": 96}
    values = preset("detector", "tiny", **{**TINY, **size, "steps": 1, "batch": 4, "learning_rate": 1e-7})
    values = {**values, "architecture": {}, "pretrained": str(trained[0])}
    again = train("detector", values, dataset, tmp_path / "again")
    assert again.metrics["map"] == pytest.approx(trained[1].metrics["map"], abs=0.1)
    assert again.preprocessing == trained[1].preprocessing


def test_training_batches__targets_are_relative_centres(dataset):
    from transformers import RTDetrImageProcessor

    config = make_config(DetectorConfig, preset("detector", "tiny", batch=4, crop_probability=0.0, jitter=0.0))
    processor = RTDetrImageProcessor(size={"height": 64, "width": 48})
    batch = TrainingBatches(DetectionPictures(dataset, "train"), processor, config)(0)
    assert batch["pixel_values"].shape == (4, 3, 64, 48)
    for target in batch["labels"]:
        assert ((target["boxes"] >= 0) & (target["boxes"] <= 1)).all()
        assert len(target["boxes"]) == len(target["class_labels"]) > 0


def test_training_batches__workers_need_few_open_files(dataset):
    from transformers import RTDetrImageProcessor

    config = make_config(DetectorConfig, preset("detector", "tiny", batch=40))
    make = TrainingBatches(
        DetectionPictures(dataset, "train"), RTDetrImageProcessor(size={"height": 8, "width": 8}), config
    )
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 64, before[1]))
    try:
        batches = [batch for batch, _ in zip(Batches(make, 2).starting(0), range(4), strict=False)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert [len(batch["labels"]) for batch in batches] == [40] * 4


def test_detection_pictures__cache_scales_the_boxes(dataset):
    full, cached = DetectionPictures(dataset, "validation"), DetectionPictures(dataset, "validation", 50)
    for _ in range(2):  # read, then from the cache
        first, second = full[0][0], cached[0][0]
        assert second.image.size == (40, 50)
        np.testing.assert_allclose(np.array(first.boxes) / 4, second.boxes)


def test_detection_pictures__no_dataset(tmp_path):
    with pytest.raises(DataError, match="no detection dataset"):
        DetectionPictures(tmp_path, "train")


def crops(out, version, pictures, tmp_path, **arguments):
    shard = toys.posts_table(tmp_path, pictures).shards[0]
    counts: Counter[str] = Counter()
    step = CropPosts(str(out), version, **arguments)
    rows = [row for batch in step(shard, counts=counts) for row in batch.to_pylist()]
    return rows, counts


def test_crop_posts__each_photo_and_each_box_has_its_row(trained, threshold, tmp_path):
    out, manifest = trained
    photo = encode_jpeg(toys.person(0)[0])
    pictures = [("photo", photo), ("product", photo), ("photo", photo[:300]), ("photo", None), ("photo", photo)]
    rows, counts = crops(out, manifest.version, pictures, tmp_path, crop_threshold=threshold, record_threshold=0.02)
    by_post = {post: [row for row in rows if row["post_id"] == post] for post in range(5)}
    assert [len(by_post[post]) for post in (1, 2, 3)] == [0, 1, 1]
    assert [by_post[post][0]["reason"] for post in (2, 3)] == ["bad_image", "bad_image"]
    first, last = ([row["score"] for row in by_post[post]] for post in (0, 4))
    assert first == pytest.approx(last, abs=1e-5)  # the same photo, once in another batch
    assert sum(counts.values()) == len(rows)
    assert counts["low_score"] == sum(0.02 <= row["score"] < threshold for row in rows if row["category"])
    for row in rows:
        assert row["kept"] == (row["bytes"] is not None) == (row["reason"] is None)
        if row["kept"]:
            crop = decode(row["bytes"])
            assert crop.width == pytest.approx(row["box"][2] - row["box"][0], abs=2)
            assert row["score"] >= threshold


def test_crop_posts__nothing_found(trained, tmp_path):
    photo = encode_jpeg(Image.new("RGB", (200, 300)))
    rows, counts = crops(trained[0], trained[1].version, [("photo", photo)], tmp_path, record_threshold=1.0)
    assert [(row["reason"], row["category"], row["kept"]) for row in rows] == [("no_detection", "", False)]
    assert counts == {"no_detection": 1}


def test_crop_posts__overlaps_and_small_boxes_are_not_kept(trained, threshold, tmp_path):
    photo = encode_jpeg(toys.person(0)[0])
    settings = {"crop_threshold": 0.0, "record_threshold": 0.0}
    rows, counts = crops(trained[0], trained[1].version, [("photo", photo)], tmp_path / "a", nms=0.3, **settings)
    assert counts["suppressed"] > 0
    assert counts["low_score"] == 0
    rows, counts = crops(trained[0], trained[1].version, [("photo", photo)], tmp_path / "b", min_side=1000, **settings)
    assert {row["reason"] for row in rows} <= {"too_small", "suppressed"}
    assert counts["too_small"] > 0


def test_crop_posts__of_equal_detections_one_is_kept(trained, tmp_path, monkeypatch):
    garment, unsure = Detection("top", 0.9, (10.0, 10.0, 60.0, 80.0)), Detection("hat", 0.1, (0.0, 0.0, 30.0, 30.0))

    def detect_each(_, groups, load, threshold):
        for tag, images in map(load, groups):
            yield tag, [[garment, garment, unsure] for _ in images]

    monkeypatch.setattr(Detector, "detect_each", detect_each)
    photo = encode_jpeg(toys.person(0)[0])
    rows, counts = crops(trained[0], trained[1].version, [("photo", photo)], tmp_path)
    assert [row["reason"] for row in rows] == [None, "suppressed", "low_score"]
    assert counts == {"kept": 1, "suppressed": 1, "low_score": 1}


def test_crop_posts__another_version(trained):
    with pytest.raises(CheckpointError, match="asked for other"):
        CropPosts(str(trained[0]), "other")


def test_train_detector__a_class_without_boxes(tmp_path):
    folder = toys.coco_folder(tmp_path / "toy", 30, {"hat": "umbrella"})
    build_detection_dataset([toys.coco_source(folder)], tmp_path / "data", validation_share=0.2)
    with pytest.raises(DataError, match="no training box of hat"):
        train("detector", preset("detector", "tiny"), tmp_path / "data", tmp_path / "out")


def test_weigh_detector__one_that_did_not_learn_is_refused(trained, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("models.detector.gate.CROP_THRESHOLD", 0.2)  # what a barely trained one reaches
    good, bad = trained[0], tmp_path / "detector"
    values = preset("detector", "tiny", **{**TINY, "steps": 1, "batch": 2, "height": 96, "width": 96})
    train("detector", values, dataset, bad)
    refused, passed = (weigh_detector(new, old, dataset, margin=0.3) for new, old in ((bad, good), (good, good)))
    assert (refused.passed, passed.passed) == (False, True)
    assert refused.reason.startswith("f1 ")
    first = weigh_detector(bad, None, dataset, margin=0.05)
    assert not first.passed
    assert "best baseline (mean box)" in first.reason


def test_share_of_objects__the_mean_over_processes_is_the_loss_of_the_batch():
    objects, summed = [2, 18, 0], [3.0, 40.0, 0.0]  # of each share; transformers divides by the number, at least one

    class Known(Ranks):
        def mean(self, value):
            return sum(objects) / 3

    factors = [share_of_objects(own, torch.device("cpu"), Known(number, 3)) for number, own in enumerate(objects)]
    losses = [total / max(own, 1) for total, own in zip(summed, objects, strict=True)]
    whole = sum(factor * loss for factor, loss in zip(factors, losses, strict=True)) / 3
    assert whole == pytest.approx(sum(summed) / sum(objects))
    assert share_of_objects(7, torch.device("cpu"), ALONE) == 1.0


def test_of_picture__in_a_place_that_is_not_square():
    mask = torch.zeros(400, 200)
    mask[:100, :50] = 1  # a picture of 50×100 px in a place of 200×400
    box = torch.tensor([[0.125, 0.125, 0.25, 0.0625]])  # centre and size, as shares of the place
    torch.testing.assert_close(of_picture(box, mask), torch.tensor([[0.5, 0.5, 1.0, 0.25]]))


def test_training_batches__targets_are_shares_of_their_own_picture(tmp_path):
    """Where pictures keep their proportions and are padded: what a detector learns is what is read of it."""
    from transformers import ConditionalDetrImageProcessor

    folder = toys.coco_folder(tmp_path / "toy", 30)
    for number, path in enumerate(sorted((folder / "images").iterdir())):
        if number % 2:  # half of them lie
            decode(path.read_bytes()).transpose(Image.Transpose.ROTATE_90).save(path)
    data = json.loads((folder / "annotations.json").read_text())
    sizes = {image["id"]: (image["width"], image["height"]) for image in data["images"]}
    for image in data["images"][1::2]:
        image["width"], image["height"] = image["height"], image["width"]
    for item in data["annotations"]:
        if item["image_id"] % 2:
            x, y, w, h = item["bbox"]
            item["bbox"] = [y, sizes[item["image_id"]][0] - x - w, h, w]
    (folder / "annotations.json").write_text(json.dumps(data))
    build_detection_dataset([toys.coco_source(folder)], tmp_path / "data", validation_share=0.2)
    pictures = DetectionPictures(tmp_path / "data", "train")
    config = make_config(DetectorConfig, preset("detector", "tiny", batch=8, crop_probability=0.0, jitter=0.0))
    processor = ConditionalDetrImageProcessor(size={"shortest_edge": 96, "longest_edge": 200})
    batches = TrainingBatches(pictures, processor, config)
    batch = batches(0)
    assert not batch["pixel_mask"].all()
    assert batch["pixel_mask"].dtype == torch.bool
    for index, target in zip(batches._rows(0), batch["labels"], strict=True):
        width, height = pictures.sizes[index]
        own = torch.from_numpy(target["boxes"]) * torch.tensor([width, height, width, height])
        boxes = torch.cat([own[:, :2] - own[:, 2:] / 2, own[:, :2] + own[:, 2:] / 2], 1)
        truth = torch.tensor([box for _, box in pictures.truths[index]])
        mirrored = torch.stack([width - truth[:, 2], truth[:, 1], width - truth[:, 0], truth[:, 3]], 1)
        near = [(boxes - of).abs().max() < 2 for of in (truth, mirrored)]
        assert any(near), (boxes, truth)
