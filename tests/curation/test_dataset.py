"""The published dataset: opens with `datasets`, grows by versions that share shards, refuses to be empty."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from curation.dataset import decided, write_pair_dataset
from curation.dataset_plan import DatasetRules, Facts, difference, leak_keys, photo_ties
from curation.errors import CurationError
from curation.images import encode_jpeg
from curation.pair_rows import read_facts, read_pairs
from curation.places import read_manifest
from curation.review import Decision, Rulings, Verdict
from curation.schemas import CLUSTERS, HASHES, LAYOUT_BYTES
from curation.selection import Selection, read_selection
from curation.sources import Source, excluded_sources
from curation.splits import SplitShares, crossing_keys
from curation.tables import Shard, ShardedTable, rows_to_batch, write_json, write_shard
from curation.versions import Versions
from tests.curation.builders import candidate_row, candidates, damage, scene

RULES = DatasetRules()


def _publish(root: Path, count: int, rules: DatasetRules = RULES, **blocks: Iterable[dict[str, Any]]) -> dict[str, Any]:
    rows = {"000000": [candidate_row(i) for i in range(count)], **blocks}
    return write_pair_dataset(candidates(root / "candidates", rows), root / "pair_dataset", rules)


def _shards(root: Path, version: str) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (root / "pair_dataset_versions" / version).glob("*.parquet")}


def test_write_pair_dataset__opens_with_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    from datasets import load_dataset

    manifest = _publish(tmp_path, 100)
    assert sum(manifest["rows"].values()) == 80
    files = {name: str(tmp_path / "pair_dataset" / f"{name}-*.parquet") for name in manifest["rows"]}
    dataset = load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert {name: len(part) for name, part in dataset.items()} == manifest["rows"]
    row = dataset["train"][0]
    assert isinstance(row["anchor"], Image.Image)
    assert (row["box"], row["anchor_phash"]) == ([1.0, 2.0, 30.0, 40.0], 2**64 - 1)
    by_card = load_dataset(str(tmp_path / "pair_dataset"), cache_dir=str(tmp_path / "cache2"))
    assert {name: len(part) for name, part in by_card.items()} == manifest["rows"]


def test_write_pair_dataset__pictures_stay_with_their_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Shard.batches  # a block of a site has thousands of candidates, which come some at a time
    monkeypatch.setattr(Shard, "batches", lambda shard, columns=None, rows=7: whole(shard, columns, rows))
    _publish(tmp_path, 60)
    _publish(tmp_path, 60, more=[candidate_row(i) for i in range(60, 95)])
    rows = ShardedTable(tmp_path / "pair_dataset").table().to_pylist()
    assert len(rows) == 76
    for row in rows:
        assert encode_jpeg(scene(row["post_id"])) == row["anchor"]["bytes"]
        assert encode_jpeg(scene(1000 + row["post_id"])) == row["positive"]["bytes"]
        assert Image.open(io.BytesIO(row["anchor"]["bytes"])).size == (240, 300)


def test_write_pair_dataset__empty_is_refused_and_keeps_the_old(tmp_path: Path) -> None:
    old = _publish(tmp_path, 20)
    with pytest.raises(CurationError, match="none of 1 candidates is left"):
        _publish(tmp_path, 1)
    assert read_manifest(tmp_path / "pair_dataset") == old
    assert Versions(tmp_path / "pair_dataset").names == ["0001"]


def test_write_pair_dataset__nothing_new_makes_no_version(tmp_path: Path) -> None:
    first = _publish(tmp_path, 40)
    assert _publish(tmp_path, 40) == first
    again = candidates(tmp_path / "again", {"0": [candidate_row(i) for i in range(40)]}, fingerprint="made again")
    assert write_pair_dataset(again, tmp_path / "pair_dataset", RULES) == first


def test_write_pair_dataset__another_method_plans_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("curation.dataset._METHOD", "an earlier one")
        earlier.setattr("curation.dataset_plan._drop_repeated", lambda *_: None)
        shown = {name: candidate_row(1)[name] for name in ("photo_cluster_id", "product_cluster_id")}
        _publish(tmp_path, 20, more=[candidate_row(101, **shown)])
    manifest = write_pair_dataset(ShardedTable(tmp_path / "candidates"), tmp_path / "pair_dataset", RULES)
    assert (manifest["version"], manifest["difference"]["removed"]) == ("0002", 1)


def test_write_pair_dataset__nothing_new_asks_for_no_ties(tmp_path: Path) -> None:
    first = _publish(tmp_path, 40)
    asked: list[str] = []

    def ties() -> list[list[str]]:
        asked.append("ties")
        return []

    same = ShardedTable(tmp_path / "candidates")
    assert write_pair_dataset(same, tmp_path / "pair_dataset", RULES, ties) == first
    assert asked == []
    more = candidates(tmp_path / "candidates", {"more": [candidate_row(51)]})
    assert write_pair_dataset(more, tmp_path / "pair_dataset", RULES, ties)["version"] == "0002"
    assert asked == ["ties"]


def test_write_pair_dataset__versions_share_full_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.dataset._SHARD_ROWS", 16)
    _publish(tmp_path, 100)
    manifest = _publish(tmp_path, 100, more=[candidate_row(i) for i in range(100, 120)])
    assert manifest["parents"]["version"] == "0001"
    assert manifest["difference"] == {"added": 16, "removed": 0, "changed": 0, "moved": 0, "unchanged": 80}
    before, after = _shards(tmp_path, "0001"), _shards(tmp_path, "0002")
    shared = before.keys() & after.keys()
    assert {name: before[name] for name in shared} == {name: after[name] for name in shared}  # one file on disk
    assert len(before.keys() - shared) <= 3  # only the last of each split was not full
    assert max(shard["rows"] for shard in manifest["shards"].values()) == 16


def test_write_pair_dataset__a_last_shard_that_is_full_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.dataset._SHARD_ROWS", 16)
    rules = DatasetRules(SplitShares(validation=0.0, test=0.0))
    _publish(tmp_path, 40, rules)  # 32 of which are kept
    _publish(tmp_path, 40, rules, more=[candidate_row(i) for i in range(101, 105)])
    before, after = _shards(tmp_path, "0001"), _shards(tmp_path, "0002")
    assert len(before) == 2
    assert before.items() <= after.items()  # one file on disk


def test_write_pair_dataset__a_row_that_goes_costs_its_shard_only(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("curation.dataset._SHARD_ROWS", 16)
    _publish(tmp_path, 100)
    gone = candidates(tmp_path / "candidates", {"000000": [candidate_row(i) for i in range(100) if i != 7]})
    manifest = write_pair_dataset(gone, tmp_path / "pair_dataset", RULES)
    assert manifest["difference"]["removed"] == 1
    assert len(_shards(tmp_path, "0001").keys() - _shards(tmp_path, "0002").keys()) <= 2
    assert 7 not in ShardedTable(tmp_path / "pair_dataset").table(["post_id"])["post_id"].to_pylist()


def test_write_pair_dataset__splits_stay_and_never_leak(tmp_path: Path) -> None:
    _publish(tmp_path, 100)
    before = {row["post_id"]: row["split"] for row in ShardedTable(tmp_path / "pair_dataset").table().to_pylist()}
    more = [candidate_row(i, product_id=str(i - 100)) for i in range(100, 200)]  # the same products, worn again
    _publish(tmp_path, 100, more=more)
    table = ShardedTable(tmp_path / "pair_dataset").table()
    assert {row["post_id"]: row["split"] for row in table.to_pylist() if row["post_id"] < 100} == before
    assert crossing_keys(leak_keys(table), table["split"].to_pylist()) == set()


def _splits(root: Path) -> dict[int, str]:
    """Split by post of the version in use."""
    rows = ShardedTable(root / "pair_dataset").table(["post_id", "split"]).to_pylist()
    return {row["post_id"]: row["split"] for row in rows}


def test_write_pair_dataset__a_row_that_comes_back_has_its_split_again(tmp_path: Path) -> None:
    _publish(tmp_path, 100)
    before = _splits(tmp_path)
    write_pair_dataset(
        candidates(tmp_path / "fewer", {"000000": [candidate_row(i) for i in range(100) if i % 3]}),
        tmp_path / "pair_dataset",
        RULES,
    )
    assert len(_splits(tmp_path)) < len(before)
    _publish(tmp_path, 100)
    assert _splits(tmp_path) == before


def test_write_pair_dataset__going_back_forgets_no_split(tmp_path: Path) -> None:
    _publish(tmp_path, 40)
    _publish(tmp_path, 100)
    before = _splits(tmp_path)
    Versions(tmp_path / "pair_dataset").activate("0001")
    _publish(tmp_path, 120)
    after = _splits(tmp_path)
    assert {post: after[post] for post in before} == before


def test_write_pair_dataset__what_any_version_trained_on_trains(tmp_path: Path) -> None:
    write_pair_dataset(candidates(tmp_path / "first", {"0": [candidate_row(1)]}), tmp_path / "pair_dataset", RULES)
    assert _splits(tmp_path) == {1: "train"}  # a giant
    _publish(tmp_path, 100)
    tested = next(post for post, split in _splits(tmp_path).items() if split == "test")
    alone = candidates(tmp_path / "alone", {"0": [candidate_row(tested)]})
    write_pair_dataset(alone, tmp_path / "pair_dataset", RULES)  # a giant again, so that it trains
    Versions(tmp_path / "pair_dataset").activate("0002")
    _publish(tmp_path, 120)
    assert _splits(tmp_path)[tested] == "train"


def test_write_pair_dataset__reviewers_and_benchmarks_have_their_say(tmp_path: Path) -> None:
    rows = [candidate_row(i) for i in range(40)]
    said = [
        Verdict(rows[i]["anchor_sha256"], (1, 2, 30, 41), rows[i]["positive_sha256"], decision, "ann", category)
        for i, decision, category in [(1, Decision.REJECT, None), (2, Decision.ACCEPT, "bag")]
    ]
    selection = Selection(Rulings(said), frozenset([rows[3]["anchor_sha256"]]), fingerprint="v1")
    manifest = _publish(tmp_path, 40, DatasetRules(selection=selection))
    assert manifest["left_out"] == {"rejected_by_review": 1, "in_benchmark": 1}
    kept = {row["post_id"]: row["category"] for row in ShardedTable(tmp_path / "pair_dataset").table().to_pylist()}
    assert not {1, 3} & kept.keys()
    assert (kept[2], kept[4]) == ("bag", "hat")


def test_write_pair_dataset__a_photo_that_another_shard_posts_again_pairs_once(tmp_path: Path) -> None:
    first = candidate_row(1)
    shown = {name: first[name] for name in ("photo_cluster_id", "anchor_sha256", "product_id", "product_cluster_id")}
    again = candidate_row(101, **shown)
    another_product = candidate_row(102, photo_cluster_id=shown["photo_cluster_id"])
    manifest = _publish(tmp_path, 20, more=[again, another_product])
    assert manifest["left_out"] == {"duplicate_pair": 1}
    assert {1, 102} == {1, 101, 102} & _splits(tmp_path).keys()


def test_write_pair_dataset__a_photo_whose_first_pair_is_left_out_still_pairs(tmp_path: Path) -> None:
    first = candidate_row(101, site="other")
    shown = {name: first[name] for name in ("photo_cluster_id", "anchor_sha256", "product_id", "product_cluster_id")}
    rules = DatasetRules(selection=Selection(sources=frozenset({"other"}), fingerprint="no other"))
    manifest = _publish(tmp_path, 20, rules, a=[first], b=[candidate_row(102, **shown)])
    assert "duplicate_pair" not in manifest["left_out"]
    assert 102 in _splits(tmp_path)


def test_write_pair_dataset__sources_can_be_left_out(tmp_path: Path) -> None:
    terms = {"kream": Source("MIT", commercial=True, url="https://kream.test"), "other": Source("CC BY-NC 4.0", False)}
    left_out = excluded_sources(terms, {"kream", "other", "unheard-of"}, commercial_only=True)
    assert left_out == {"other", "unheard-of"}
    rules = DatasetRules(selection=read_selection(tmp_path, left_out), sources=terms)
    assert rules.selection.fingerprint != read_selection(tmp_path).fingerprint  # or no version would follow a change
    more = [candidate_row(i, site="other") for i in range(30, 40)]
    assert _publish(tmp_path, 30, rules, more=more)["rows_per_source"] == {"kream": 24}
    card = (tmp_path / "pair_dataset" / "README.md").read_text()
    assert "[kream](https://kream.test) | 24 | MIT | yes" in card
    assert "8 source excluded" in card
    everything = _publish(tmp_path, 30, DatasetRules(sources=terms), more=more)
    assert everything["rows_per_source"] == {"kream": 24, "other": 8}


def test_decided__an_older_release_noted_only_all_that_was_left_out(tmp_path: Path) -> None:
    link = tmp_path / "pair_dataset"
    assert decided(link) == (SplitShares(), frozenset())
    by_terms = read_selection(tmp_path, frozenset({"other"}))
    manifest = _publish(tmp_path, 10, DatasetRules(SplitShares(0.2, 0.3), by_terms))
    assert decided(link) == (SplitShares(0.2, 0.3), frozenset())
    del manifest["excluded_by_request"]
    write_json(link / "manifest.json", manifest)
    assert decided(link) == (SplitShares(0.2, 0.3), frozenset({"other"}))


def test_difference__moved_are_those_in_another_split(tmp_path: Path) -> None:
    _publish(tmp_path, 20)
    shards = ShardedTable((tmp_path / "pair_dataset").resolve()).shards
    rows = pa.concat_tables([read_facts(shard) for shard in shards])

    def since(**changed: str) -> dict[str, int]:
        """The difference when the first row has this instead."""
        ((name, value),) = changed.items()
        column = pa.array([value, *rows[name].to_pylist()[1:]], rows.schema.field(name).type)
        return difference(Facts(rows.set_column(rows.column_names.index(name), name, column)), [Facts(rows)])

    moved, renamed = since(split="elsewhere"), since(category="bag")
    assert (moved["moved"], moved["unchanged"] + moved["changed"]) == (1, len(rows))
    assert (renamed["moved"], renamed["changed"]) == (0, 1)


def test_card__shows_pictures(tmp_path: Path) -> None:
    _publish(tmp_path, 30)
    assert "![pairs, anchor beside positive](pictures.jpg)" in (tmp_path / "pair_dataset" / "README.md").read_text()
    with Image.open(tmp_path / "pair_dataset" / "pictures.jpg") as pictures:
        assert pictures.width > 500


def test_read_pairs__broken_rows_and_files_cost_only_themselves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [candidate_row(i) for i in range(1, 5)]
    rows[0]["anchor_bytes"] = rows[0]["anchor_bytes"][:200]
    write_pair_dataset(candidates(tmp_path / "in", {"0": rows}), tmp_path / "pairs", RULES)
    (tmp_path / "pairs" / "train-00099-0.parquet").write_bytes(b"PAR1 not at all")
    assert sorted(pair.facts["post_id"] for pair in read_pairs(tmp_path / "pairs")) == [2, 3, 4]
    assert "a picture of kream post 1: " in caplog.text
    assert "train-00099-0.parquet cannot be read: " in caplog.text


def test_read_pairs__damaged_part_of_a_file_is_told_with_its_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _publish(tmp_path, 10)
    (shard,) = (shard for shard in ShardedTable(tmp_path / "pair_dataset").shards if shard.name.startswith("train"))
    damage(shard.path.resolve(), "anchor", [0])
    assert "train" not in {pair.facts["split"] for pair in read_pairs(tmp_path / "pair_dataset")}
    assert f"{shard.path.name}: {shard.rows} pairs cannot be read: " in caplog.text


def test_write_pair_dataset__other_terms_make_a_version(tmp_path: Path) -> None:
    _publish(tmp_path, 10)
    terms = Source("MIT", commercial=True, url="https://kream.test")
    manifest = _publish(tmp_path, 10, DatasetRules(sources={"kream": terms}))
    assert (manifest["version"], manifest["sources"]["kream"]["licence"]) == ("0002", "MIT")


def test_write_pair_dataset__replaces_a_dataset_of_the_time_before_versions(tmp_path: Path) -> None:
    old = tmp_path / "pair_dataset"
    old.mkdir()
    (old / "manifest.json").write_text("{}")
    _publish(tmp_path, 10)
    assert old.is_symlink()
    assert json.loads((old / "manifest.json").read_text())["version"] == "0001"


def test_photo_ties__join_posts_by_any_photo(tmp_path: Path) -> None:
    def hashed(post: int, sha: str) -> dict[str, Any]:
        row = dict.fromkeys(HASHES.names, 0)
        colour = bytes(LAYOUT_BYTES)
        return row | {"sha256": sha, "role": "photo", "mode": "exact", "colour": colour, "blank": False,
                      "site": "kream", "post_id": post, "product_id": None, "posted_at": None}  # fmt: skip

    def clustered(sha: str, cluster: str) -> dict[str, Any]:
        row = dict.fromkeys(CLUSTERS.names, 0)
        return row | {"sha256": sha, "role": "photo", "mode": "exact", "blank": False, "catalog": False,
                      "site": "kream", "product_id": None, "posted_at": None, "cluster_id": cluster,
                      "is_representative": sha == cluster, "kept_because": None, "evidence": "single"}  # fmt: skip

    hashes = [hashed(1, "a"), hashed(2, "b"), hashed(2, "c")]
    clusters = [clustered("a", "a"), clustered("b", "a"), clustered("c", "c")]
    write_shard(tmp_path / "h", "0", HASHES, [rows_to_batch(hashes, HASHES)], fingerprint="h")
    write_shard(tmp_path / "c", "0", CLUSTERS, [rows_to_batch(clusters, CLUSTERS)], fingerprint="c")
    ties = sorted(photo_ties(ShardedTable(tmp_path / "h"), ShardedTable(tmp_path / "c")).to_pylist())
    assert ties == [["post:kream/1", "photo-cluster:a"], ["post:kream/2", "photo-cluster:a"]]
