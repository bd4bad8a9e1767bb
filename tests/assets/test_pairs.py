"""What a pair is judged by changes with a take-down; what was decided of the dataset does not change by itself."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from assets.io_manager import ReferenceIOManager, adopt, reference_of
from assets.pairs import candidate_pairs, pair_dataset
from assets.resources import DataFolder, Engine, Recipes, Terms
from curation.engine import MapReport
from curation.places import read_manifest
from curation.republish import republish
from curation.schemas import RIVALS
from curation.tables import ShardedTable, rows_to_batch, write_json, write_shard
from tests.curation.builders import candidate_row, candidates
from tests.curation.data_folder import make_data

TABLES = ("onthelook_posts", "kream_posts", "post_crops", "pair_matches")


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    """A verifier of two products, and tables without a row."""
    for name in TABLES:
        write_json(reference_of(tmp_path, dg.AssetKey(name)), {"table": str(tmp_path / name), "prefix": ""})
    write_json(tmp_path / "pair_verifier" / "manifest.json", {"halves": [{"version": "a"}, {"version": "b"}]})
    adopt(tmp_path, "pair_verifier", tmp_path / "pair_verifier")
    _know(tmp_path, "1", "2")
    return DataFolder(root=str(tmp_path))


def _know(root: Path, *products: str) -> None:
    row = {**dict.fromkeys(RIVALS.names), "site": "kream", "category": "top", "vector": np.array([1, 0], np.float32)}
    rows = [{**row, "product_id": product} for product in products]
    write_shard(
        root / "pair_verifier" / "rivals", "0", RIVALS, [rows_to_batch(rows, RIVALS)], fingerprint=str(products)
    )


def _asked(data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> str:
    """The version of the verifier that the step is asked for."""
    asked: dict[str, Any] = {}

    def note(_: Engine, __: object, ___: str, inputs: object, output: ShardedTable, **arguments: Any) -> MapReport:
        asked.update(arguments)
        return MapReport(output, made=0, skipped=0)

    monkeypatch.setattr(Engine, "map", note)
    resources = {
        "data": data,
        "engine": Engine(),
        "recipes": Recipes(profile="tiny", seed=0, floors={}),
        "io_manager": ReferenceIOManager(data=data),
    }
    upstream = [dg.AssetSpec(name) for name in (*TABLES, "pair_verifier")]
    with dg.DagsterInstance.ephemeral() as instance:
        assets = [candidate_pairs, *upstream]
        # without a pair, the check `not_empty` ends the run
        dg.materialize(assets, resources=resources, instance=instance, raise_on_error=False)
    return str(asked["verifier_version"])


def test_candidate_pairs__are_judged_anew_when_a_rival_was_taken_down(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _asked(data, monkeypatch)
    assert before == _asked(data, monkeypatch)
    _know(data.path, "1")
    after = _asked(data, monkeypatch)
    assert after != before
    assert [version.split("/")[:2] for version in (before, after)] == [["a", "b"]] * 2


BOTH, ONE = {"kream": 9, "onthelook": 4}, {"kream": 9}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A dataset of one site, and candidates of another that came later."""
    root = make_data(tmp_path, range(1, 12))
    more = [candidate_row(number, site="onthelook") for number in range(21, 25)]
    candidates(root / "pairs" / "candidate_pairs", {"000001": more})
    for name in ("pairs/candidate_pairs", "dedup/image_hashes", "dedup/duplicate_clusters"):
        adopted = {"table": str(root / name), "prefix": ""}
        write_json(reference_of(root, dg.AssetKey(name.partition("/")[2])), adopted)
    return root


def _publish(root: Path, *, commercial_only: bool = False, **config: Any) -> dict[str, Any]:
    """The manifest in use after a run with this configuration of `pair_dataset`; a sensor gives none."""
    data = DataFolder(root=str(root))
    licences = {"kream": "MIT", "onthelook": "unknown"}
    terms = Terms(licences=licences, cleared=["kream"], commercial_only=commercial_only)
    resources = {"data": data, "terms": terms, "io_manager": ReferenceIOManager(data=data)}
    upstream = [dg.AssetSpec(name) for name in ("candidate_pairs", "image_hashes", "duplicate_clusters")]
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            [pair_dataset, *upstream],
            resources=resources,
            instance=instance,
            run_config={"ops": {"pair_dataset": {"config": config}}} if config else None,
            raise_on_error=False,  # so few pairs may leave a split empty
        )
    return read_manifest(root / "pair_dataset")


def test_pair_dataset__a_site_that_somebody_left_out_stays_out(published: Path) -> None:
    assert _publish(published)["rows_per_source"] == BOTH
    assert _publish(published, exclude_sources=["onthelook"], test=0.3)["rows_per_source"] == ONE
    assert _publish(published, validation=0.2)["rows_per_source"] == ONE
    republish(published)
    last = _publish(published)
    assert last["rows_per_source"] == ONE
    assert last["shares_of_small_groups"] == {"validation": 0.2, "test": 0.3}
    assert _publish(published, exclude_sources=[])["rows_per_source"] == BOTH


def test_pair_dataset__a_site_that_nobody_left_out_comes_in(published: Path) -> None:
    assert republish(published)["rows_per_source"] == ONE  # of a site that is new, only the graph knows the terms
    assert _publish(published, commercial_only=True)["rows_per_source"] == ONE
    assert _publish(published)["rows_per_source"] == BOTH


def test_pair_dataset__what_is_left_out_already_can_be_left_out_for_good(published: Path) -> None:
    _publish(published, commercial_only=True)
    _publish(published, commercial_only=True, exclude_sources=["onthelook"])
    assert _publish(published)["rows_per_source"] == ONE


def test_pair_dataset__a_share_of_nothing_is_a_share(published: Path) -> None:
    _publish(published)
    assert _publish(published, test=0.0)["shares_of_small_groups"] == {"validation": 0.1, "test": 0.0}
