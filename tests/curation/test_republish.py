"""A version between two runs of the graph holds the sites that the last run let in, and no others."""

from pathlib import Path

from upath import UPath

from curation.dataset import write_pair_dataset
from curation.dataset_plan import DatasetRules
from curation.places import files_at, keep_tables_at
from curation.republish import republish
from curation.review import Decision, Verdict, VerdictLog
from curation.tables import ShardedTable, mirror
from tests.curation.builders import candidate_row, candidates, sha
from tests.curation.data_folder import make_data, photo


def test_republish__site_that_is_new_waits_for_the_graph(tmp_path: Path) -> None:
    data = make_data(tmp_path, range(1, 12))
    more = [candidate_row(number, site="other") for number in range(21, 25)]
    table = candidates(data / "pairs" / "candidate_pairs", {"000001": more})
    said = [
        Verdict(sha(photo(number)), (1, 2, 30, 40), candidate_row(number)["positive_sha256"], Decision.REJECT, "ann")
        for number in (1, 2)
    ]
    VerdictLog(data / "review" / "verdicts").append(said[:1])
    manifest = republish(data)
    assert manifest["rows_per_source"] == {"kream": 8}
    assert manifest["left_out"] == {"rejected_by_review": 1, "source_excluded": 4}
    assert write_pair_dataset(table, data / "pair_dataset", DatasetRules())["rows_per_source"]["other"] == 4
    VerdictLog(data / "review" / "verdicts").append(said[1:])
    assert republish(data)["rows_per_source"] == {"kream": 7, "other": 4}


def test_republish__version_is_beside_distant_tables_too(tmp_path: Path) -> None:
    data, at = make_data(tmp_path, range(1, 12)), UPath("memory://republished")
    for name in ("dedup/image_hashes", "dedup/duplicate_clusters", "pairs/candidate_pairs"):
        mirror(ShardedTable(data / name), at / name)
    keep_tables_at(data, str(at))
    said = Verdict(sha(photo(1)), (1, 2, 30, 40), candidate_row(1)["positive_sha256"], Decision.REJECT, "ann")
    VerdictLog(data / "review" / "verdicts").append([said])
    version = republish(data)["version"]
    copy = files_at(at / "pair_dataset_versions" / version)
    assert copy.keys() == {path.name for path in (data / "pair_dataset").resolve().iterdir()}
