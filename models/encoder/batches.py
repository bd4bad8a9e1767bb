"""Which pairs a batch is made of, and the batches."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor  # noqa: TID253
from torch.utils.data import DataLoader  # noqa: TID253

from models.encoder.config import EncoderConfig
from models.encoder.data import PairKeys, PairPictures, Rows, StreamedPairs
from models.ranks import ALONE, Ranks

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Pictures (n, height, width, 3) → unit vectors (n, d)."""

_NEIGHBOURS: Final = 7  # of each product that a batch of hard negatives starts from
_SCORES_AT_ONCE: Final = 4_000_000  # similarities held in memory, 16 MB
_EMBEDDED_AT_ONCE: Final = 256  # pictures


def training_batches(
    keys: PairKeys,
    config: EncoderConfig,
    size: tuple[int, int],
    embed: Embed,
    processor: Any = None,
    ranks: Ranks = ALONE,
) -> Iterator[list[Tensor]]:
    """Endless batches, or this process's shares: anchors and positives (n, height, width, 3) uint8, labels (n,).

    With `config.hard_negatives`, `embed` is asked for the products' thumbnails now and then.
    """
    sampler = PairBatches(
        keys,
        config.batch,
        config.same_category,
        config.seed,
        ranks,
        distinct=config.distinct_products,
        hard=config.hard_negatives,
    )
    pictures: PairPictures | StreamedPairs
    if config.in_memory:
        pictures = PairPictures(keys, size, processor)
        batches: Iterator[list[Tensor]] = map(pictures.__getitems__, sampler)
    else:
        pictures = StreamedPairs(keys, size, processor, config.cache_dir)
        batches = iter(DataLoader(pictures, batch_sampler=sampler, num_workers=config.workers))
    for step in count():
        if config.hard_negatives and step % config.mine_every == 0:
            sampler.mine(ranks.agreed(lambda: _thumbnail_vectors(pictures, sampler.first_rows, embed)))
        yield next(batches)


def _thumbnail_vectors(pictures: PairPictures | StreamedPairs, rows: Rows, embed: Embed) -> NDArray[np.float32]:
    parts = np.array_split(rows, max(1, len(rows) // _EMBEDDED_AT_ONCE))
    return np.concatenate([embed(np.stack([np.asarray(pictures[int(row)][1]) for row in part])) for part in parts])


class PairBatches:
    """Batch sampler: endless lists of row numbers, a share of them within one category.

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
        self._neighbours: Rows | None = None
        self._draw = np.random.default_rng(seed)
        order = np.argsort(keys.labels, kind="stable")
        starts = np.flatnonzero(np.diff(keys.labels[order], prepend=-1))
        self._rows = [self._draw.permutation(rows).tolist() for rows in np.split(order, starts[1:])]
        self.first_rows: Rows = order[starts]
        self.categories: NDArray[np.str_] = keys.categories[self.first_rows]
        self._names, counts = np.unique(self.categories, return_counts=True)
        self._weights = counts / counts.sum()
        self._products = {str(name): np.flatnonzero(self.categories == name) for name in self._names}
        self._products[""] = np.arange(len(self._rows))

    def __iter__(self) -> Iterator[list[int]]:
        while True:
            if own := self._ranks.share(self._next()):  # else fewer rows than processes
                yield own

    def mine(self, vectors: NDArray[np.float32]) -> None:
        """Learn which products look alike: unit vectors of the thumbnails of `first_rows`, (products, d)."""
        self._neighbours = nearest(vectors, self.categories, _NEIGHBOURS)

    def _next(self) -> list[int]:
        if self._hard and self._neighbours is not None and self._draw.random() < self._hard:
            return [self._turn(int(product)) for product in self._look_alikes(self._neighbours)]
        name = str(self._draw.choice(self._names, p=self._weights)) if self._draw.random() < self._share else ""
        return self._take(self._products[name])

    def _look_alikes(self, neighbours: Rows) -> list[int]:
        """Random products, each followed by its neighbours, until the batch is full."""
        taken: dict[int, None] = {}
        for product in self._draw.permutation(len(self._rows)).tolist():
            taken |= dict.fromkeys([product, *(n for n in neighbours[product].tolist() if n >= 0)])
            if len(taken) >= self._batch:
                break
        return list(taken)[: self._batch]

    def _take(self, products: Rows) -> list[int]:
        if not self._distinct:
            rows = np.concatenate([self._rows[product] for product in products])
            return [int(row) for row in self._draw.permutation(rows)[: self._batch]]
        taken: list[int] = []
        wanted = self._batch
        if wanted > len(products):
            wanted = min(wanted, sum(len(self._rows[product]) for product in products))
        rounds = 0
        while len(taken) < wanted:
            usable = [product for product in products if len(self._rows[product]) > rounds] if rounds else products
            chosen = self._draw.permutation(usable)[: wanted - len(taken)]
            taken += [self._turn(int(product)) for product in chosen]
            rounds += 1
        return taken

    def _turn(self, product: int) -> int:
        rows = self._rows[product]
        rows.append(rows.pop(0))
        return int(rows[-1])


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
