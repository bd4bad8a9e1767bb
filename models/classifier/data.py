"""Labelled thumbnails: held at one size, split by product, drawn with equal weight per class."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch  # noqa: TID253
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor  # noqa: TID253

from curation.tables import fingerprint
from curation.taxonomy import LABELS
from models.errors import DataError
from models.labelled import labelled_pictures, place_of
from models.pixels import resize
from models.ranks import ALONE, Ranks
from models.seeds import Stream, derived

_AT_ONCE: Final = 256  # pictures in memory
_LEAST_MEASURED: Final = 2  # products: a calibration is fitted on some of them and measured on others


@dataclass(frozen=True)
class Thumbnails:
    """Pictures of single garments with their category."""

    stored: NDArray[np.uint8]  # (m, height, width, 3), see `stored`; parts of one set share it, so m may exceed n
    rows: NDArray[np.int64]  # (n,) where each of these is in `stored`
    labels: NDArray[np.int64]  # positions in LABELS
    products: list[str]  # ids, for the split and for reports; of a worn garment, its photo
    sources: NDArray[np.int64]  # position of the source of each

    def __len__(self) -> int:
        return len(self.products)

    def take(self, chosen: NDArray[np.bool_]) -> "Thumbnails":
        """The rows of a mask."""
        products = [product for product, use in zip(self.products, chosen, strict=True) if use]
        return Thumbnails(self.stored, self.rows[chosen], self.labels[chosen], products, self.sources[chosen])

    def pixels(self, chosen: slice | NDArray[np.int64] = slice(None)) -> NDArray[np.uint8]:
        """Pictures by their positions, in memory; (k, height, width, 3)."""
        found: NDArray[np.uint8] = self.stored[self.rows[chosen]]
        return found

    def images(self) -> Iterator[list[Image.Image]]:
        """All pictures, some at a time."""
        for start in range(0, len(self), _AT_ONCE):
            yield [Image.fromarray(pixels) for pixels in self.pixels(slice(start, start + _AT_ONCE))]


def read_thumbnails(
    sources: Sequence[Path], size: tuple[int, int], folder: Path | None = None
) -> tuple[Thumbnails, str]:
    """All usable thumbnails at (height, width) px, kept in `folder` by `stored`, and the fingerprint of what was read.

    A source is a catalog table, or a folder of pictures with `labels.csv` (image, category, group). The first is the
    shop, and alone has held-out products. Rows with a broken picture are left out: the catalog's own table says why.

    Raises:
        DataError: there is none, or a label has no thumbnail, or an unknown label occurs, or a source is neither.
    """
    data, keys = _read(sources, size, folder, lambda _: True)
    counts = Counter(data.labels.tolist())
    empty = [name for index, name in enumerate(LABELS) if not counts[index]]
    if empty:
        raise DataError(f"{_named(sources)}: no usable thumbnail of {', '.join(empty)}")
    return data, fingerprint(sorted(keys))


def read_held_out(shop: Path, size: tuple[int, int], validation_share: float, folder: Path | None = None) -> Thumbnails:
    """The validation side of `split_by_product`, as `read_thumbnails` reads it, and nothing else."""
    return _read([shop], size, folder, lambda product: place_of(product) < validation_share)[0]


def _read(
    sources: Sequence[Path], size: tuple[int, int], folder: Path | None, wanted: Callable[[str], bool]
) -> tuple[Thumbnails, list[list[Any]]]:
    """Thumbnails of the wanted products, and what tells each row from others."""
    rows = ((number, row) for number, source in enumerate(sources) for row in labelled_pictures(source, wanted))
    labels: list[int] = []
    products: list[str] = []
    numbers: list[int] = []
    keys: list[list[Any]] = []

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for number, (product, category, image, key) in rows:
            if category not in LABELS:
                raise DataError(f"{_named(sources)}: product {product} has the unknown category {category!r}")
            labels.append(LABELS.index(category))
            products.append(product)
            numbers.append(number)
            keys.append([number, product, category, key])
            yield resize(image, *size)

    pixels = stored(pictures(), size, folder)
    at = np.arange(len(pixels))
    return Thumbnails(pixels, at, np.array(labels, np.int64), products, np.array(numbers, np.int64)), keys


def _named(sources: Sequence[Path]) -> str:
    return " and ".join(map(str, sources))


def stored(pictures: Iterable[NDArray[np.uint8]], size: tuple[int, int], folder: Path | None) -> NDArray[np.uint8]:
    """Pictures of one size as one array, (n, height, width, 3), in a file without a name that goes with the array.

    A shop of 90,000 thumbnails has 17 GB of them at 224 px: the system keeps in memory what there is room for.

    Args:
        pictures: (height, width, 3) each, taken one at a time.
        size: height and width, px.
        folder: where the file has its place; None: the system's for temporary files.
    """
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        count = 0
        for picture in pictures:
            file.write(picture.tobytes())
            count += 1
        file.flush()
        if not count:  # no file can be mapped that is empty
            return np.zeros((0, *size, 3), np.uint8)
        return np.memmap(file, np.uint8, "r+", shape=(count, *size, 3))


def split_by_product(data: Thumbnails, validation_share: float) -> tuple[Thumbnails, Thumbnails]:
    """(train, validation) such that a product is on one side; of the first source alone is anything held out.

    The first is what the classifier will be asked about: pictures of other kinds would tell how sure it is of those.

    Raises:
        DataError: a class is missing in train, or there are too few products to measure on.
    """
    places = np.array([place_of(product) for product in data.products])
    held = (places < validation_share) & (data.sources == 0)
    train, validation = data.take(~held), data.take(held)
    missing = sorted(set(range(len(LABELS))) - set(train.labels.tolist()))
    measured = len(set(validation.products))
    if missing or measured < _LEAST_MEASURED:
        names = ", ".join(LABELS[index] for index in missing)
        sides = f"train lacks [{names}], validation has {measured} products"
        raise DataError(f"{len(data)} thumbnails are too few: {sides}")
    return train, validation


def folds(products: Sequence[str], count: int) -> Iterator[NDArray[np.bool_]]:
    """Masks of parts of the rows such that a product is in one part; fewer than `count` of fewer products."""
    number = {product: at % count for at, product in enumerate(sorted(set(products), key=place_of))}
    of_row = np.array([number[product] for product in products])
    return (of_row == part for part in range(min(count, len(number))))


class BalancedBatches:
    """Batches (pixels uint8, labels, positions in the data) by the number of their step, each class equally likely.

    So is, within a class, each source that has it: else the look of a shop's pictures would tell the class of which it
    has relatively more than the other sources have.

    Args:
        data: of one or several sources.
        batch: rows.
        seed: of the order.
        ranks: of the processes that share a batch.
        worn: further garments, whose positions go on after those of `data`.
        share: of the rows of a class that are worn ones, where there are any.
    """

    def __init__(
        self,
        data: Thumbnails,
        batch: int,
        seed: int,
        ranks: Ranks = ALONE,
        worn: Thumbnails | None = None,
        share: float = 0.0,
    ) -> None:
        weights = _alike(data)
        labels = data.labels
        if worn:
            weights[np.isin(data.labels, worn.labels)] *= 1 - share
            weights = np.concatenate([weights, share * _alike(worn)])
            labels = np.concatenate([data.labels, worn.labels])
        self._weights, self._labels = torch.from_numpy(weights), torch.from_numpy(labels)
        self._data, self._worn = data, worn
        self._batch = batch
        self._seed = seed
        self._ranks = ranks

    def __call__(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Own share of one batch."""
        draw = torch.Generator().manual_seed(derived(Stream.ORDER, self._seed, step))
        rows = torch.multinomial(self._weights, self._batch, replacement=True, generator=draw)
        own = np.array(self._ranks.share(rows.tolist()), np.int64)
        pixels = np.empty((len(own), *self._data.stored.shape[1:]), np.uint8)
        of_data = own < len(self._data)
        pixels[of_data] = self._data.pixels(own[of_data])
        if self._worn:
            pixels[~of_data] = self._worn.pixels(own[~of_data] - len(self._data))
        at = torch.from_numpy(own)
        return torch.from_numpy(pixels), self._labels[at], at


def _alike(data: Thumbnails) -> NDArray[np.float64]:
    """A weight per row, such that those of every class add up to 1, of each of its sources the same."""
    counts = np.zeros((data.sources.max() + 1, len(LABELS)))
    np.add.at(counts, (data.sources, data.labels), 1)
    sources = (counts > 0).sum(axis=0)
    return np.asarray(1.0 / (counts[data.sources, data.labels] * sources[data.labels]), np.float64)
