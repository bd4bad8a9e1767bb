"""Known answers put to the index."""

from collections.abc import Iterator
from pathlib import Path
from weakref import ref

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.images import encode_jpeg
from search.errors import NotFoundError, VersionMismatchError
from search.index import Index
from search.report import worst_sheet
from search.trials import Trial, known_pairs, run_trials
from tests.search.builders import BlockEncoder, draw_product


def test_run_trials__rank_of_right_and_wrong_crops(index: Index) -> None:
    known = [(draw_product(3), "kream-3"), (draw_product(3), "kream-9")]
    right, wrong = run_trials(BlockEncoder(), index, known)
    assert (right.rank, right.hits[0].product.id, right.category) == (1, "kream-3", "top")
    order = [hit.product.id for hit in index.search(index.vector("kream-3"), "top", 20)]
    assert wrong.rank == order.index("kream-9") + 1


def test_run_trials__more_than_a_batch(index: Index) -> None:
    trials = list(run_trials(BlockEncoder(), index, ((draw_product(n % 60), f"kream-{n % 60}") for n in range(130))))
    assert [trial.rank for trial in trials] == [1] * 130


def test_run_trials__unknown_product_and_other_encoder(index: Index) -> None:
    with pytest.raises(NotFoundError, match="kream-777"):
        list(run_trials(BlockEncoder(), index, [(draw_product(0), "kream-777")]))
    other = BlockEncoder()
    other.version = "blocks-2"
    with pytest.raises(VersionMismatchError):
        list(run_trials(other, index, []))


def test_worst_sheet__latest_first(index: Index) -> None:
    red = Image.new("RGB", (50, 50), (255, 0, 0))
    known = [(draw_product(n), f"kream-{n}") for n in range(5)]
    last = index.search(BlockEncoder().embed([red])[0], "top", 20)[-1].product.id
    trials = list(run_trials(BlockEncoder(), index, [*known, (red, last)]))
    sheet = worst_sheet(index, trials, count=2)
    assert sheet.getpixel((50, 50)) == (255, 0, 0)
    assert sheet.height < worst_sheet(index, trials, count=6).height
    with pytest.raises(ValueError, match="trials: at least one"):
        worst_sheet(index, [])


def test_worst_sheet__holds_no_more_crops_than_it_shows(index: Index) -> None:
    made: list[ref[Image.Image]] = []

    def stream() -> Iterator[Trial]:
        for number in range(50):
            crop = draw_product(number)
            made.append(ref(crop))
            assert sum(crop() is not None for crop in made) <= 2 + 2  # shown, and on their way
            yield Trial(crop, "top", "kream-1", number % 20, ())

    assert worst_sheet(index, stream(), count=2).height < worst_sheet(index, [next(stream())] * 3, count=3).height


def test_known_pairs__of_one_split_and_in_the_index(index: Index, tmp_path: Path) -> None:
    def write(name: str, rows: list[tuple[str, str]]) -> None:
        crops = [{"bytes": encode_jpeg(draw_product(n)), "path": None} for n in range(len(rows))]
        sites, products = zip(*rows, strict=True)
        pq.write_table(pa.table({"anchor": crops, "site": sites, "product_id": products}), tmp_path / name)

    write("test-00000.parquet", [("kream", "0"), ("onthelook", "p1"), ("kream", "2")])
    write("train-00000.parquet", [("kream", "5")])
    pairs = list(known_pairs(tmp_path, index))
    assert [product for _, product in pairs] == ["kream-0", "kream-2"]
    assert [trial.rank for trial in run_trials(BlockEncoder(), index, pairs)] == [1, 1]
    assert list(known_pairs(tmp_path, index, split="validation")) == []
