"""Which pairs a batch is made of, and the batches."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np
import torch  # noqa: TID253
from numpy.typing import NDArray
from torch import Tensor  # noqa: TID253

from models.batches import Batches
from models.encoder.config import EncoderConfig
from models.encoder.data import PairKeys, PairPictures, Rows, StreamedPairs
from models.errors import DataError
from models.feeding import ahead
from models.ranks import ALONE, Ranks
from models.seeds import Stream, derived

EmbedPixels = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Pictures (n, height, width, 3) → unit vectors (n, d)."""

_NEIGHBOURS: Final = 7  # of each product that a batch of hard negatives starts from
_SCORES_AT_ONCE: Final = 4_000_000  # similarities held in memory, 16 MB
_EMBEDDED_AT_ONCE: Final = 256  # pictures


class TrainingBatches(Batches):
    """Batches, or this process's shares: anchors and positives (n, height, width, 3) uint8, labels (n,).

    With `config.hard_negatives`, `embed` is asked for the products' thumbnails now and then.
    """

    def __init__(
        self,
        keys: PairKeys,
        config: EncoderConfig,
        size: tuple[int, int],
        embed: EmbedPixels,
        processor: Any = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self._sampler = PairBatches(
            keys,
            config.batch,
            config.same_category,
            config.seed,
            ranks,
            distinct=config.distinct_products,
            hard=config.hard_negatives,
        )
        self._pictures: PairPictures | StreamedPairs = (
            PairPictures(keys, size, processor=processor)
            if config.in_memory
            else StreamedPairs(keys, size, processor=processor, cache_dir=config.cache_dir)
        )
        super().__init__(partial(_batch, self._sampler, self._pictures), 0 if config.in_memory else config.workers)
        self._embed = embed
        self._ranks = ranks
        self._every = config.mine_every if config.hard_negatives else 0

    def starting(self, step: int) -> Iterator[list[Tensor]]:
        """The batches from `step` on. None is made ahead of the search for neighbours that it depends on."""
        if not self._every:
            yield from super().starting(step)
            return
        while True:
            if step % self._every == 0:
                self._sampler.mine(self._ranks.agreed(self._thumbnail_vectors))
            end = step - step % self._every + self._every
            yield from self.of(range(step, end))
            step = end

    def state_dict(self) -> dict[str, Any]:
        """The neighbours that were found last."""
        neighbours = self._sampler.neighbours
        return {} if neighbours is None else {"neighbours": torch.from_numpy(neighbours)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take in what `state_dict` gave."""
        self._sampler.neighbours = state["neighbours"].numpy() if state else None

    def _thumbnail_vectors(self) -> NDArray[np.float32]:
        rows = self._sampler.first_rows
        parts = np.array_split(rows, max(1, len(rows) // _EMBEDDED_AT_ONCE))
        loaded = ahead(parts, self._pictures.thumbnails, max(1, self.workers))
        return np.concatenate([self._embed(pixels) for pixels in loaded])


class PairBatches:
    """Which rows the batch of a step has. A share of the batches is of one category.

    Products are drawn, then one row of each: a batch has as many different products as it can, since rows of one
    product are no negatives of each other, and best-sellers do not crowd out the rest. Only when a category has fewer
    products than a batch needs does a product come twice. The rows of a product take turns. Processes that train
    together draw the same batches and take a share of each.

    Args:
        keys: the pairs.
        batch: rows.
        same_category: share of batches of one category.
        seed: of the draws.
        ranks: of the processes.
        distinct: False draws rows as they come, so that a product may be there many times, as others do.
        hard: share of batches of products and their neighbours, as soon as `mine` has told which those are.

    Raises:
        DataError: a batch has fewer rows than there are processes.

    Attributes:
        neighbours: of each product, (products, k), -1 where there are fewer; None before `mine`.
        first_rows: one row of each product, (products,).
    """

    def __init__(
        self,
        keys: PairKeys,
        batch: int,
        same_category: float,
        seed: int,
        ranks: Ranks = ALONE,
        *,
        distinct: bool = True,
        hard: float = 0.0,
    ) -> None:
        self._ranks = ranks
        self._batch = batch
        self._share = same_category
        self._distinct = distinct
        self._hard = hard
        self._seed = seed
        self.neighbours: Rows | None = None
        order = np.argsort(keys.labels, kind="stable")
        starts = np.flatnonzero(np.diff(keys.labels[order], prepend=-1))
        self._rows: list[list[int]] = [rows.tolist() for rows in np.split(order, starts[1:])]
        self.first_rows: Rows = order[starts]
        self.categories: NDArray[np.str_] = keys.categories[self.first_rows]
        fullest = max(np.unique(keys.categories, return_counts=True)[1]) if same_category == 1 else len(keys)
        if min(batch, fullest) < ranks.count:
            raise DataError(f"{ranks.count} processes cannot share batches of {min(batch, fullest)} pairs")
        self._names, counts = np.unique(self.categories, return_counts=True)
        self._weights = counts / counts.sum()
        self._products = {str(name): np.flatnonzero(self.categories == name) for name in self._names}
        self._products[""] = np.arange(len(self._rows))

    def rows(self, step: int) -> list[int]:
        """Own rows of the batch of a step."""
        draw = np.random.default_rng(derived(Stream.ORDER, self._seed, step))
        while not (own := self._ranks.share(self._drawn(draw, step))):  # fewer rows than processes
            pass
        return own

    def mine(self, vectors: NDArray[np.float32]) -> None:
        """Learn which products look alike: unit vectors of the thumbnails of `first_rows`, (products, d)."""
        self.neighbours = nearest(vectors, self.categories, _NEIGHBOURS)

    def _drawn(self, draw: np.random.Generator, turn: int) -> list[int]:
        if self._hard and self.neighbours is not None and draw.random() < self._hard:
            return [self._row(product, turn) for product in self._look_alikes(self.neighbours, draw)]
        name = str(draw.choice(self._names, p=self._weights)) if draw.random() < self._share else ""
        return self._take(self._products[name], draw, turn)

    def _look_alikes(self, neighbours: Rows, draw: np.random.Generator) -> list[int]:
        """Random products, each followed by its neighbours, until the batch is full."""
        taken: dict[int, None] = {}
        for product in draw.permutation(len(self._rows)).tolist():
            taken |= dict.fromkeys([product, *(n for n in neighbours[product].tolist() if n >= 0)])
            if len(taken) >= self._batch:
                break
        return list(taken)[: self._batch]

    def _take(self, products: Rows, draw: np.random.Generator, turn: int) -> list[int]:
        if not self._distinct:
            rows = np.concatenate([self._rows[product] for product in products])
            return [int(row) for row in draw.permutation(rows)[: self._batch]]
        taken: list[int] = []
        wanted = self._batch
        if wanted > len(products):
            wanted = min(wanted, sum(len(self._rows[product]) for product in products))
        rounds = 0
        while len(taken) < wanted:
            usable = [product for product in products if len(self._rows[product]) > rounds] if rounds else products
            chosen = draw.permutation(usable)[: wanted - len(taken)]
            taken += [self._row(int(product), turn + rounds) for product in chosen]
            rounds += 1
        return taken

    def _row(self, product: int, turn: int) -> int:
        rows = self._rows[product]
        return rows[turn % len(rows)]


def _batch(sampler: PairBatches, pictures: PairPictures | StreamedPairs, step: int) -> list[Tensor]:
    return pictures.batch(sampler.rows(step))


def nearest(vectors: NDArray[np.float32], categories: NDArray[np.str_], count: int) -> Rows:
    """The nearest others of each vector within its category, nearest first; (n, count), -1 where there are fewer."""
    found = np.full((len(vectors), count), -1, np.int64)
    for category in np.unique(categories):
        own = np.flatnonzero(categories == category)
        kept = min(count, len(own) - 1)
        step = max(1, _SCORES_AT_ONCE // len(own))
        for start in range(0, len(own) if kept else 0, step):
            rows = np.arange(start, min(start + step, len(own)))
            scores = vectors[own[rows]] @ vectors[own].T
            scores[np.arange(len(rows)), rows] = -np.inf
            best = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
            order = np.take_along_axis(-scores, best, 1).argsort(1, kind="stable")
            found[own[rows], :kept] = own[np.take_along_axis(best, order, 1)]
    return found
