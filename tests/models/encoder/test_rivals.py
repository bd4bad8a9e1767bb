"""What a tagged product has to win against: others of its class, never itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.schemas import RIVALS
from curation.tables import rows_to_batch, write_shard
from models.encoder.rivals import Rivals


def _row(product: str, category: str = "top", cluster: str | None = None) -> dict[str, Any]:
    return {"site": "kream", "product_id": product, "product_cluster_id": cluster, "category": category}


def _rivals(folder: Path, *known: tuple[dict[str, Any], list[float]]) -> Rivals:
    rows = [{**dict.fromkeys(RIVALS.names), **row, "vector": np.array(v, np.float32)} for row, v in known]
    return Rivals(write_shard(folder, "0", RIVALS, [rows_to_batch(rows, RIVALS)], fingerprint=""))


CROP = np.array([1.0, 0.0], np.float32)


def test_preference__a_nearer_sibling_is_preferred(tmp_path: Path) -> None:
    rivals = _rivals(tmp_path, (_row("1"), [0.8, 0.6]), (_row("2"), [1.0, 0.0]))
    assert rivals.preference(_row("1"), CROP, 0.8) < 0.05
    assert rivals.preference(_row("2"), CROP, 1.0) > 0.95


def test_preference__as_near_as_another_is_even(tmp_path: Path) -> None:
    rivals = _rivals(tmp_path, (_row("1"), [0.8, 0.6]), (_row("2"), [0.8, 0.6]))
    assert rivals.preference(_row("1"), CROP, 0.8) == pytest.approx(0.5)


def test_preference__neither_itself_nor_other_classes_count(tmp_path: Path) -> None:
    same_cluster = _row("other site's id", cluster="a")
    rivals = _rivals(tmp_path, (same_cluster, [1.0, 0.0]), (_row("2", "hat"), [1.0, 0.0]))
    assert rivals.preference(_row("1", cluster="a"), CROP, 0.5) == 1.0
    assert rivals.preference(_row("3", "shoes"), CROP, 0.5) == 1.0


def test_preference__does_not_fall_with_the_number_of_products(tmp_path: Path) -> None:
    few = [(_row(str(number)), [0.6, 0.8]) for number in range(5)]
    many = [(_row(str(number)), [0.6, 0.8]) for number in range(500)]
    found = [_rivals(tmp_path / str(len(known)), *known).preference(_row("x"), CROP, 0.8) for known in (few, many)]
    assert found[0] == pytest.approx(found[1])
