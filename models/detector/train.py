"""Training of the detector: from a hub checkpoint or from a configuration, by the same few lines."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from transformers import (  # noqa: TID253
    AutoConfig,
    AutoImageProcessor,
    AutoModelForObjectDetection,
    RTDetrImageProcessor,
)

from curation.tables import fingerprint as joint_fingerprint
from curation.taxonomy import CATEGORIES
from models.batches import Batches
from models.detector.config import DetectorConfig
from models.detector.data import Batch, DetectionPictures, TrainingBatches
from models.detector.dataset import DATASET_FILE
from models.detector.evaluate import RECORD_THRESHOLD, coco_metrics
from models.detector.infer import Detector
from models.device import pick_device, set_threads
from models.errors import DataError
from models.initialise import fit_to_width
from models.pixels import refuse_another_size
from models.progress import Progress
from models.ranks import Ranks
from models.seeds import Step, seed_everything
from models.states import FOLDER, States
from models.trainer import Trained
from models.training import fit, prepare


def train_detector(config: DetectorConfig, data: Path, out: Path, progress: Progress, ranks: Ranks) -> Trained:
    """Train on a directory of `build_detection_dataset` and keep the weights of the best validation mAP.

    Raises:
        DataError: `data` is no such directory, or has no box of a class to learn from.
        TrainingError: as `models.training.fit` does.
    """
    set_threads(config.threads)
    seed_everything(config.seed)
    device = pick_device(config.device)
    pictures, validation = (DetectionPictures(data, split, config.cache_side) for split in ("train", "validation"))
    if missing := set(pictures.classes) - {name for truth in pictures.truths for name, _ in truth}:
        raise DataError(f"{data}: no training box of {', '.join(sorted(missing))}")
    model, processor = build(config, validation.classes)
    model.to(device, memory_format=torch.channels_last)  # convolutions ran 11 % faster so on a CPU
    prepare(model, config)
    batches = TrainingBatches(pictures, processor, config, ranks)
    fingerprint = json.loads((data / DATASET_FILE).read_text())["fingerprint"]
    if batches.products:
        fingerprint = joint_fingerprint([fingerprint, batches.products.fingerprint])
    states = States(out / FOLDER, config, fingerprint, ranks)
    progress("start", step=states.step, parameters=sum(p.numel() for p in model.parameters()), device=str(device))

    def loss(batch: Batch, _: Step) -> Tensor:
        inputs = {key: value.to(device) for key, value in batch.items() if key != "labels"}
        inputs["pixel_values"] = inputs["pixel_values"].contiguous(memory_format=torch.channels_last)
        labels = [{name: torch.from_numpy(of).to(device) for name, of in target.items()} for target in batch["labels"]]
        value: Tensor = model(**inputs, labels=labels).loss
        return value * share_of_objects(sum(len(target["class_labels"]) for target in labels), device, ranks)

    metrics = fit(
        model,
        config,
        Batches(batches, config.workers),
        loss,
        lambda: evaluate(Detector(model, processor, "", device), validation),
        "map",
        progress,
        states,
        ranks,
    )

    def write(folder: Path) -> None:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)

    return Trained(write, list(validation.classes), fingerprint, metrics, states)


def build(config: DetectorConfig, classes: Sequence[str] = CATEGORIES) -> tuple[Any, Any]:
    """Model and image processor: from `config.pretrained` with a new head where classes differ, or from scratch.

    Raises:
        ConfigError: the configuration names a size that the pretrained network does not take.
    """
    labels = {"id2label": dict(enumerate(classes)), "label2id": {name: i for i, name in enumerate(classes)}}
    if config.pretrained:
        model = AutoModelForObjectDetection.from_pretrained(
            config.pretrained, dtype=torch.float32, ignore_mismatched_sizes=True, **labels
        )
        processor = AutoImageProcessor.from_pretrained(config.pretrained)
        refuse_another_size(config, processor)
        return model, processor
    architecture = AutoConfig.for_model(**config.architecture, **labels)
    model = AutoModelForObjectDetection.from_config(architecture)
    fit_to_width(model, getattr(architecture, "initializer_range", None))
    return model, RTDetrImageProcessor(size={"height": config.height, "width": config.width})


def share_of_objects(own: int, device: torch.device, ranks: Ranks) -> float:
    """What the loss of a process's share is to be multiplied with, so that the mean over processes is the batch's loss.

    transformers divides the sum over a share's objects by their number, at least one: each share would count as much as
    another, however many objects it has.
    """
    return max(own, 1) / max(ranks.mean(torch.tensor(float(own), device=device)), 1.0)


def evaluate(detector: Detector, pictures: DetectionPictures) -> dict[str, Any]:
    """COCO metrics on the pictures of a split."""
    truth, found = zip(*detector.detect_split(pictures, RECORD_THRESHOLD, pictures.classes), strict=True)
    return coco_metrics(truth, found)
