"""Training of the encoder by contrast, one for all categories or one for some."""

from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from transformers import AutoConfig, AutoImageProcessor, AutoModel, ViTImageProcessor  # noqa: TID253

from models.augment import augment, recolour, splice
from models.checkpoint import Manifest, save_checkpoint
from models.device import pick_device, set_threads
from models.encoder.config import EncoderConfig
from models.encoder.data import PairPictures, data_fingerprint, first_of_each_product, read_keys, training_batches
from models.encoder.evaluate import Embedded, per_query
from models.encoder.infer import Encoder
from models.encoder.loss import ContrastiveLoss
from models.encoder.model import ImageEncoder, is_encoder
from models.initialise import fit_to_width
from models.pixels import cache_size, input_size, normalise
from models.progress import Progress
from models.training import fit, seed_everything


class Learner(nn.Module):
    """Encoder and loss together, so that a learned temperature is optimised and selected with the weights."""

    def __init__(self, encoder: ImageEncoder, loss: ContrastiveLoss) -> None:
        super().__init__()
        self.encoder = encoder
        self.loss = loss


def train_encoder(config: EncoderConfig, data: Path, out: Path, progress: Progress) -> Manifest:
    """Train on the `train` split of a pair dataset, keep the best R@1 on `validation`, write the checkpoint to `out`.

    Raises:
        DataError: a split has no pair of the chosen categories.
        TrainingError: the loss is not finite.
    """
    set_threads(config.threads)
    seed_everything(config.seed)
    device = pick_device(config.device)
    encoder, processor = build(config)
    learner = Learner(encoder, ContrastiveLoss(config.temperature, learned=config.learn_temperature)).to(device)
    size = input_size(processor)
    keys = read_keys(data, "train", config.categories)
    validation = PairPictures(read_keys(data, "validation", config.categories), size, processor)
    distractors = PairPictures(first_of_each_product(keys, config.distractors), size, processor)
    progress("start", pairs=len(keys), products=len(keys.products), validation=len(validation), device=str(device))
    draw = torch.Generator(device).manual_seed(config.seed)

    def loss(batch: list[Tensor]) -> Tensor:
        anchors, positives, labels = (tensor.to(device) for tensor in batch)
        anchors, positives = recolour(anchors, positives, config.recolour, draw)
        anchors, positives, new = splice(anchors, positives, config.splice, draw)
        labels = torch.where(new, -1 - torch.arange(len(labels), device=device), labels)
        images = [normalise(augment(side, config, draw, size), processor) for side in (anchors, positives)]
        vectors = encoder(torch.cat(images))
        value: Tensor = learner.loss(vectors[: len(labels)], vectors[len(labels) :], labels)
        return value

    metrics = fit(
        learner,
        config,
        training_batches(keys, config, cache_size(*size), processor),
        loss,
        lambda: validation_metrics(Encoder(encoder, processor, "", device), validation, distractors),
        "r@1",
        progress,
    )
    metrics["temperature"] = learner.loss.log_temperature.exp().item()

    def write(folder: Path) -> None:
        encoder.save(folder)
        processor.save_pretrained(folder)

    progress("done", **metrics)
    return save_checkpoint(
        out,
        "encoder",
        write,
        config=config.model_dump(),
        data_fingerprint=data_fingerprint(data),
        labels=list(config.categories),
        metrics=metrics,
    )


def build(config: EncoderConfig) -> tuple[ImageEncoder, Any]:
    """Network and image processor: from scratch, or from `config.pretrained`.

    An encoder's checkpoint directory gives the embedding layer too, if it has the configured dimension; anything else
    gives the backbone alone.
    """
    if config.pretrained:
        backbone = AutoModel.from_pretrained(config.pretrained)
        processor = AutoImageProcessor.from_pretrained(config.pretrained)
        processor.trim_ground = config.trim
        if is_encoder(Path(config.pretrained), config.dimension):
            return ImageEncoder.load(Path(config.pretrained)), processor
        return ImageEncoder(backbone, config.dimension), processor
    architecture = AutoConfig.for_model(image_size=config.height, **config.architecture)
    processor = ViTImageProcessor(size={"height": config.height, "width": config.width}, trim_ground=config.trim)
    backbone = AutoModel.from_config(architecture)
    fit_to_width(backbone, getattr(architecture, "initializer_range", None))
    return ImageEncoder(backbone, config.dimension), processor


def validation_metrics(encoder: Encoder, pictures: PairPictures, distractors: PairPictures) -> dict[str, Any]:
    """Retrieval of a split's crops among its own products and `distractors`, with the category filter.

    Each product's first thumbnail is the gallery.
    """
    keys = pictures.keys
    _, first = np.unique(keys.labels, return_index=True)
    shown = [*pictures.positives[first], *distractors.positives]
    gallery = Embedded(
        encoder.embed_pixels(np.stack(shown)),
        np.concatenate([keys.labels[first], -1 - np.arange(len(distractors))]),  # nobody's product
        np.concatenate([keys.categories[first], distractors.keys.categories]),
    )
    category_of = keys.categories[first]  # a product has one category here, whatever a crop was called
    queries = Embedded(encoder.embed_pixels(pictures.anchors), keys.labels, category_of[keys.labels])
    return {name: float(values.mean()) for name, values in per_query(queries, gallery).items() if name != "rank"}
