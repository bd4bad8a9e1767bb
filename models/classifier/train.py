"""Training of the category classifier on a shop's own categories."""

from pathlib import Path
from typing import Any

import torch.nn.functional as F  # noqa: TID253
from PIL import Image
from torch import Tensor  # noqa: TID253
from transformers import (  # noqa: TID253
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    ViTImageProcessor,
)

from curation.taxonomy import LABELS
from models.augment import augment
from models.batches import Batches
from models.classifier.config import ClassifierConfig
from models.classifier.data import BalancedBatches, read_thumbnails, split_by_product
from models.classifier.evaluate import classification_metrics
from models.classifier.infer import Classifier
from models.device import pick_device, set_threads
from models.initialise import fit_to_width
from models.pixels import cache_size, input_size, normalise
from models.progress import Progress
from models.ranks import Ranks
from models.seeds import Step, seed_everything
from models.states import FOLDER, States
from models.trainer import Trained
from models.training import fit, prepare


def train_classifier(config: ClassifierConfig, data: Path, out: Path, progress: Progress, ranks: Ranks) -> Trained:
    """Train on a catalog table (or a folder with `labels.csv`) and keep the most accurate weights.

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
    thumbnails, fingerprint = read_thumbnails(sources, cache_size(*size))
    train, validation = split_by_product(thumbnails, config.validation_share)
    states = States(out / FOLDER, config, fingerprint, ranks)
    progress("start", step=states.step, train=len(train), validation=len(validation), device=str(device))

    def loss(batch: tuple[Tensor, Tensor], step: Step) -> Tensor:
        images = normalise(augment(batch[0].to(device), config, step.draw, size), processor)
        logits = model(pixel_values=images).logits
        return F.cross_entropy(logits.float(), batch[1].to(device), label_smoothing=config.smoothing)

    def evaluate() -> dict[str, Any]:
        images = [Image.fromarray(pixels) for pixels in validation.pixels]
        probabilities = Classifier(model, processor, "", device).probabilities(images)
        return classification_metrics(validation.labels, probabilities, validation.products)

    batches = Batches(BalancedBatches(train, config.batch, config.seed, ranks))
    metrics = fit(model, config, batches, loss, evaluate, "accuracy", progress, states, ranks)

    def write(folder: Path) -> None:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)

    return Trained(write, list(LABELS), fingerprint, metrics, states)


def build(config: ClassifierConfig) -> tuple[Any, Any]:
    """Model and image processor: from `config.pretrained` with a new head, or from scratch."""
    labels = {"id2label": dict(enumerate(LABELS)), "label2id": {name: i for i, name in enumerate(LABELS)}}
    if config.pretrained:
        model = AutoModelForImageClassification.from_pretrained(
            config.pretrained, ignore_mismatched_sizes=True, **labels
        )
        return model, AutoImageProcessor.from_pretrained(config.pretrained)
    architecture = AutoConfig.for_model(**config.architecture, **labels)
    model = AutoModelForImageClassification.from_config(architecture)
    fit_to_width(model, getattr(architecture, "initializer_range", None))
    return model, ViTImageProcessor(size={"height": config.height, "width": config.width})
