"""Detection datasets as torch reads them: pictures and boxes, decoded once if they fit, turned into model input."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch  # noqa: TID253
from PIL import Image
from torch import Tensor  # noqa: TID253
from torch.utils.data import Dataset  # noqa: TID253

from curation.images import decode
from models.boxes import Box
from models.detector.augment import Sample, augment, objects
from models.detector.config import DetectorConfig
from models.detector.products import Products
from models.errors import DataError
from models.ranks import ALONE, Ranks
from models.seeds import Stream, derived

Batch = dict[str, Any]

_TARGETS: Final = ("class_labels", "boxes")


class DetectionPictures(Dataset[tuple[Sample, int]]):
    """Pictures of one split of a directory that `build_detection_dataset` wrote."""

    def __init__(self, root: Path, split: str, cache_side: int = 0) -> None:
        try:
            data = json.loads((root / f"annotations_{split}.json").read_text())
        except OSError as error:
            raise DataError(f"{root} is no detection dataset: {error}") from error
        self.classes = tuple(str(category["name"]) for category in data["categories"])
        self._folder = root / "images"
        self.files = [str(image["file_name"]) for image in data["images"]]
        self._sizes = [(int(image["width"]), int(image["height"])) for image in data["images"]]
        self._boxes: list[list[list[float]]] = [[] for _ in self.files]
        self._labels: list[list[int]] = [[] for _ in self.files]
        place = {image["id"]: index for index, image in enumerate(data["images"])}
        for annotation in data["annotations"]:
            self._boxes[place[annotation["image_id"]]].append([float(n) for n in annotation["bbox"]])
            self._labels[place[annotation["image_id"]]].append(int(annotation["category_id"]))
        if not self.files:
            raise DataError(f"{root}: split {split} has no picture")
        self._cache_side = cache_side
        self._cache: dict[int, Image.Image] = {}

    def __len__(self) -> int:
        return len(self.files)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """(width, height) of each picture, px."""
        return self._sizes

    @property
    def truths(self) -> list[list[tuple[str, Box]]]:
        """Category and xyxy box of each object of each picture, px, without opening a picture."""
        return [objects(labels, boxes) for labels, boxes in zip(self._labels, self._boxes, strict=True)]

    def __getitem__(self, index: int) -> tuple[Sample, int]:
        image = self._cache.get(index) or self._read(index)
        scale = image.width / self._sizes[index][0], image.height / self._sizes[index][1]
        boxes = [[x * scale[0], y * scale[1], w * scale[0], h * scale[1]] for x, y, w, h in self._boxes[index]]
        return Sample(image, boxes, self._labels[index]), index

    def _read(self, index: int) -> Image.Image:
        image = decode((self._folder / self.files[index]).read_bytes())
        if self._cache_side:
            image.thumbnail((self._cache_side, self._cache_side), Image.Resampling.BILINEAR, reducing_gap=2.0)
            self._cache[index] = image
        return image


def of_picture(boxes: Tensor, mask: Tensor) -> Tensor:
    """Boxes as shares of their picture, as DETR predicts them, from shares of a batch's padded size.

    transformers' processors give the latter, so that a garment's target would depend on the pictures beside it.

    Args:
        boxes: centre and size, (n, 4).
        mask: where the picture is in its padded place, (height, width), 1 or 0.
    """
    height, width = mask.shape
    across, down = width / mask[0].sum(), height / mask[:, 0].sum()
    return boxes * torch.stack([across, down, across, down])


class TrainingBatches:
    """Augmented model input by the number of its step: `pixel_values`, `pixel_mask` where needed, and `labels`.

    The latter hold `class_labels` and `boxes` of each picture, as arrays: a tensor that a worker process sends is an
    open file here, and a process may have a thousand of them. Every picture comes once before any comes again.
    """

    def __init__(
        self,
        pictures: DetectionPictures,
        processor: Callable[..., Any],
        config: DetectorConfig,
        ranks: Ranks = ALONE,
    ) -> None:
        self._pictures = pictures
        self._processor = processor
        self._config = config
        self.products = Products.read(Path(config.thumbnails), config.cache_side) if config.thumbnails else None
        self._ranks = ranks

    def __call__(self, step: int) -> Batch:
        """Own share of one batch."""
        draw = random.Random(derived(Stream.AUGMENTATION, self._config.seed, step, self._ranks.number))
        items = [self._pictures[index] for index in self._ranks.share(self._rows(step))]
        samples = [(augment(self._mixed(sample, draw), self._config, draw), index) for sample, index in items]
        encoded = self._processor(
            images=[sample.image for sample, _ in samples],
            annotations=[sample.coco(index) for sample, index in samples],
            return_tensors="pt",
        )
        if "pixel_mask" in encoded:
            for target, mask in zip(encoded["labels"], encoded["pixel_mask"], strict=True):
                target["boxes"] = of_picture(target["boxes"], mask)
            encoded["pixel_mask"] = encoded["pixel_mask"].bool()  # workers hand it over in an eighth of the memory
        labels = [{name: target[name].numpy() for name in _TARGETS} for target in encoded["labels"]]
        return {**encoded, "labels": labels}

    def _mixed(self, sample: Sample, draw: random.Random) -> Sample:
        if self.products is None:
            return sample
        return self.products.mixed(sample, self._config.alone, self._config.paste, draw)

    def _rows(self, step: int) -> list[int]:
        """Pictures of a batch; those of a pass that do not fill one are left out, in each pass others."""
        count, batch = len(self._pictures), self._config.batch
        done, place = divmod(step, max(1, count // batch))
        order = np.random.default_rng(derived(Stream.ORDER, self._config.seed, done)).permutation(count)
        return [int(row) for row in order[place * batch : (place + 1) * batch]]
