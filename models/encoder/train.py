"""Training of the encoder by contrast, one for all categories or one for some."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253
import torch.nn.functional as F  # noqa: TID253
from numpy.typing import NDArray
from torch import Tensor, nn  # noqa: TID253
from transformers import AutoConfig, AutoImageProcessor, AutoModel, ViTImageProcessor  # noqa: TID253

from models.augment import augment, recolour, splice
from models.checkpoint import locate
from models.device import pick_device, set_threads
from models.encoder.batches import EmbedPixels, TrainingBatches
from models.encoder.caching import cached
from models.encoder.config import EncoderConfig
from models.encoder.data import (
    PairKeys,
    PairPictures,
    data_fingerprint,
    first_of_each_product,
    read_keys,
)
from models.encoder.evaluate import Embedded, per_query
from models.encoder.infer import Encoder
from models.encoder.loss import PairLoss, shortened
from models.encoder.model import ImageEncoder, is_encoder
from models.initialise import fit_to_width
from models.pixels import cache_size, input_size, normalise, refuse_another_size, to_unit
from models.progress import Progress
from models.ranks import Ranks
from models.seeds import Step, seed_everything
from models.states import FOLDER, States
from models.trainer import Trained
from models.training import fit, prepare


class Learner(nn.Module):
    """Encoder and loss together, so that a learned temperature is optimised and selected with the weights."""

    def __init__(self, encoder: ImageEncoder, loss: PairLoss) -> None:
        super().__init__()
        self.encoder = encoder
        self.loss = loss

    def watched(self) -> dict[str, float]:
        """What is worth a curve besides the loss."""
        return {"temperature": self.loss.temperature.item()}


def train_encoder(config: EncoderConfig, data: Path, out: Path, progress: Progress, ranks: Ranks) -> Trained:
    """Train on the `train` split of a pair dataset and keep the weights of the best R@1 on `validation`.

    Raises:
        DataError: a split has no pair of the chosen categories.
        TrainingError: as `models.training.fit` does, or another of the processes was lost.
    """
    set_threads(config.threads)
    seed_everything(config.seed)
    device = pick_device(config.device)
    encoder, processor = build(config)
    prepare(encoder.backbone, config)
    keys = read_keys(data, "train", config.categories)
    learner = Learner(encoder, PairLoss(config, len(keys.products))).to(device)
    evaluate = _evaluation(config, data, keys, Encoder(encoder, processor, "", device)) if ranks.first else dict
    fingerprint = data_fingerprint(data)
    states = States(out / FOLDER, config, fingerprint, ranks)
    progress(
        "start",
        step=states.step,
        pairs=len(keys),
        products=len(keys.products),
        device=str(device),
        processes=ranks.count,
    )
    size = cache_size(*input_size(processor))
    metrics = fit(
        learner,
        config,
        TrainingBatches(keys, config, size, _embed_in_training(encoder, processor), processor, ranks),
        _batch_loss(learner, config, processor, ranks),
        evaluate,
        "r@1",
        progress,
        states,
        ranks,
        learner.watched,
    )

    def write(folder: Path) -> None:
        learner.encoder.save(folder)
        processor.save_pretrained(folder)

    return Trained(write, list(config.categories), fingerprint, {**metrics, **learner.watched()}, states)


def _batch_loss(
    learner: Learner, config: EncoderConfig, processor: Any, ranks: Ranks
) -> Callable[[list[Tensor], Step], Tensor]:
    """Own share of a batch (see `TrainingBatches`) → the loss of the whole batch."""
    device = pick_device(config.device)
    size = input_size(processor)

    def embed(anchors: Tensor, positives: Tensor, source: torch.Generator) -> Tensor:
        images = [normalise(augment(side, config, source, size), processor) for side in (anchors, positives)]
        vectors: Tensor = learner.encoder(torch.cat(images))
        return vectors.reshape(2, len(anchors), -1)

    def loss(batch: list[Tensor], step: Step) -> Tensor:
        anchors, positives, labels = (tensor.to(device) for tensor in batch)
        anchors, positives = recolour(anchors, positives, config.recolour, step.draw)
        anchors, positives, new = splice(anchors, positives, labels, config.splice, step.draw)
        own = ranks.number * len(labels) + torch.arange(len(labels), device=device)
        labels = torch.where(new, -1 - own, labels)
        vectors = (
            cached(embed, anchors, positives, config.micro_batch, step.draw)
            if config.micro_batch
            else embed(anchors, positives, step.draw)
        )
        value: Tensor = learner.loss(*(ranks.gather(side) for side in vectors), ranks.gather(labels))
        return value

    return loss


def _embed_in_training(encoder: ImageEncoder, processor: Any) -> EmbedPixels:
    """Vectors of thumbnails, however large, from the encoder that is being trained."""
    device = next(encoder.parameters()).device

    def embed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        images = F.interpolate(to_unit(pixels), input_size(processor), mode="bilinear", antialias=True)
        encoder.eval()
        with torch.no_grad():
            vectors: NDArray[np.float32] = encoder(normalise(images, processor).to(device)).cpu().numpy()
        encoder.train()
        return vectors

    return embed


def _evaluation(config: EncoderConfig, data: Path, keys: PairKeys, encoder: Encoder) -> Callable[[], dict[str, Any]]:
    """What measures `encoder` on the validation split."""
    size = input_size(encoder.processor)
    validation = PairPictures(read_keys(data, "validation", config.categories), size, processor=encoder.processor)
    distractors = PairPictures(first_of_each_product(keys, config.distractors), size, processor=encoder.processor)
    return lambda: validation_metrics(encoder, validation, distractors, config.matryoshka)


def build(config: EncoderConfig) -> tuple[ImageEncoder, Any]:
    """Network and image processor: from scratch, or from `config.pretrained`.

    An encoder's checkpoint, in a directory or on the hub, gives the embedding layer too, if it has the configured
    dimension; anything else gives the backbone alone.

    Raises:
        CheckpointError: `config.pretrained` cannot be found.
        ConfigError: the configuration names a size that it does not take.
    """
    if config.pretrained:
        processor = AutoImageProcessor.from_pretrained(config.pretrained)
        refuse_another_size(config, processor)
        processor.trim_ground, processor.scales = config.trim, config.scales
        folder = locate(config.pretrained)
        if is_encoder(folder, config.dimension):
            return ImageEncoder.load(folder), processor
        backbone = AutoModel.from_pretrained(config.pretrained, dtype=torch.float32)
        return ImageEncoder(backbone, config.dimension), processor
    architecture = AutoConfig.for_model(image_size=config.height, **config.architecture)
    size = {"height": config.height, "width": config.width}
    processor = ViTImageProcessor(size=size, trim_ground=config.trim, scales=config.scales)
    backbone = AutoModel.from_config(architecture)
    fit_to_width(backbone, getattr(architecture, "initializer_range", None))
    return ImageEncoder(backbone, config.dimension), processor


def validation_metrics(
    encoder: Encoder, pictures: PairPictures, distractors: PairPictures, lengths: Sequence[int] = ()
) -> dict[str, Any]:
    """Retrieval of a split's crops among its own products and `distractors`, with the category filter.

    Each product's first thumbnail is the gallery. R@1 by the first numbers of the vectors alone is `r@1_of_64` and so
    on, for each of `lengths`.
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
    metrics = {name: float(values.mean()) for name, values in per_query(queries, gallery).items() if name != "rank"}
    for length in lengths:
        short = per_query(*(replace(side, vectors=_shortened(side.vectors, length)) for side in (queries, gallery)))
        metrics[f"r@1_of_{length}"] = float(short["r@1"].mean())
    return metrics


def _shortened(vectors: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    result: NDArray[np.float32] = shortened(torch.from_numpy(vectors), length).numpy()
    return result
