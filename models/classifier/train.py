"""Training of the category classifier on a shop's own categories."""

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from transformers import (  # noqa: TID253
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    ViTImageProcessor,
)

from curation.tables import fingerprint as joint_fingerprint
from curation.taxonomy import ETC, LABELS
from models.augment import augment
from models.batches import Batches
from models.classifier.calibration import calibrate, calibration, softmax
from models.classifier.config import ClassifierConfig
from models.classifier.data import (
    BalancedBatches,
    Thumbnails,
    folds,
    read_held_out,
    read_thumbnails,
    split_by_product,
)
from models.classifier.evaluate import classification_metrics, held_out_logits
from models.classifier.infer import TEMPERATURE, THRESHOLD, Classifier
from models.classifier.loss import EarlyLearning
from models.classifier.worn import read_worn
from models.device import pick_device, set_threads
from models.initialise import fit_to_width
from models.pixels import cache_size, input_size, normalise, refuse_another_size
from models.progress import Progress
from models.ranks import Ranks
from models.seeds import Step, seed_everything
from models.states import FOLDER, States
from models.trainer import Trained
from models.training import fit, prepare

_FOLDS: Final = 5  # of the held-out products, to measure a calibration on


class Learner(nn.Module):
    """Network and loss together, so that the loss's memory is kept and restored with the weights."""

    def __init__(self, network: nn.Module, loss: EarlyLearning) -> None:
        super().__init__()
        self.network = network
        self.loss = loss


def train_classifier(config: ClassifierConfig, data: Path, out: Path, progress: Progress, ranks: Ranks) -> Trained:
    """Train on a catalog table (or a folder with `labels.csv`) and keep the weights most accurate on held-out products.

    Raises:
        DataError: a class has no thumbnail, or there are too few to split.
        TrainingError: as `models.training.fit` does.
    """
    set_threads(config.threads)
    seed_everything(config.seed)
    device = pick_device(config.device)
    model, processor = build(config)
    prepare(model.to(device), config)
    size = input_size(processor)
    sources = [data, Path(config.also)] if config.also else [data]
    thumbnails, fingerprint = read_thumbnails(sources, cache_size(*size), out)
    train, _ = split_by_product(thumbnails, config.validation_share)
    validation = read_held_out(data, size, config.validation_share, out)  # resized once, as what it will be asked
    worn = None
    if config.boxes:
        worn, boxes = read_worn(Path(os.path.normpath(data / config.boxes)), cache_size(*size), out)
        fingerprint = joint_fingerprint([fingerprint, boxes])
    count = len(train) + (len(worn) if worn else 0)
    states = States(out / FOLDER, config, fingerprint, ranks)
    progress("start", step=states.step, train=count, validation=len(validation), device=str(device))

    learner = Learner(model, EarlyLearning(count, len(LABELS), config.early_learning, config.smoothing)).to(device)

    def loss(batch: tuple[Tensor, Tensor, Tensor], step: Step) -> Tensor:
        pixels, labels, rows = (part.to(device) for part in batch)
        images = normalise(augment(pixels, config, step.draw, size), processor)
        logits = model(pixel_values=images).logits.float()
        value: Tensor = learner.loss(ranks.gather(logits), ranks.gather(labels), ranks.gather(rows))
        return value

    def evaluate() -> dict[str, Any]:
        return held_out_metrics(Classifier(model, processor, "", device), validation, config.accept_precision)

    batches = Batches(BalancedBatches(train, config.batch, config.seed, ranks, worn, config.boxes_share))
    metrics = fit(learner, config, batches, loss, evaluate, "accuracy", progress, states, ranks)
    setattr(model.config, TEMPERATURE, metrics["temperature"])
    setattr(model.config, THRESHOLD, metrics["threshold"])

    def write(folder: Path) -> None:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)

    return Trained(write, list(LABELS), fingerprint, metrics, states)


def held_out_metrics(classifier: Classifier, held_out: Thumbnails, precision: float) -> dict[str, Any]:
    """Calibrate on held-out products, and measure on them as the calibrated classifier would answer.

    What is measured of each product is told by a calibration that was fitted on others: a fifth of them at a time.

    Returns:
        `classification_metrics`, with `temperature`, `threshold`, its `expected_precision` and the `least_precision`
        if no label is wrong, how many `suspects`, the calibration error before (`ece_before`) and after (`ece`,
        `ece_equal_mass`), and the `reliability` tables.
    """
    logits = held_out_logits(classifier, held_out)
    fitted = calibrate(logits, held_out.labels, precision, LABELS.index(ETC))
    before = calibration(softmax(logits), held_out.labels)
    probabilities, thresholds = np.empty_like(logits), np.empty(len(logits))
    for part in folds(held_out.products, _FOLDS):
        others = calibrate(logits[~part], held_out.labels[~part], precision, LABELS.index(ETC))
        probabilities[part], thresholds[part] = softmax(logits[part] / others.temperature), others.threshold
    after = calibration(probabilities, held_out.labels)
    return {
        **classification_metrics(held_out.labels, probabilities, held_out.products, thresholds, fitted.suspects),
        "temperature": fitted.temperature,
        "threshold": fitted.threshold,
        "expected_precision": fitted.precision,
        "least_precision": fitted.least,
        "suspects": int(fitted.suspects.sum()),
        **after,
        **{f"{name}_before": value for name, value in before.items()},
    }


def build(config: ClassifierConfig) -> tuple[Any, Any]:
    """Model and image processor: from `config.pretrained` with a new head, or from scratch.

    Raises:
        ConfigError: the configuration names a size that the pretrained network does not take.
    """
    labels = {"id2label": dict(enumerate(LABELS)), "label2id": {name: i for i, name in enumerate(LABELS)}}
    if config.pretrained:
        model = AutoModelForImageClassification.from_pretrained(
            config.pretrained, dtype=torch.float32, ignore_mismatched_sizes=True, **labels
        )
        processor = AutoImageProcessor.from_pretrained(config.pretrained)
        refuse_another_size(config, processor)
        return model, processor
    architecture = AutoConfig.for_model(**config.architecture, **labels)
    model = AutoModelForImageClassification.from_config(architecture)
    fit_to_width(model, getattr(architecture, "initializer_range", None))
    return model, ViTImageProcessor(size={"height": config.height, "width": config.width})
