"""The next version of the dataset with the rules of the one in use: after a review or an audit, without a pipeline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curation.dataset import decided, write_pair_dataset
from curation.dataset_plan import DatasetRules, photo_ties
from curation.errors import CurationError
from curation.places import read_manifest, send, tables_of
from curation.selection import read_selection
from curation.sources import Source
from curation.tables import ShardedTable
from curation.versions import Versions


def republish(data: Path) -> dict[str, Any]:
    """Publish what verdicts and audits changed; the manifest of the version then in use.

    A site of which the version in use knows nothing waits for `pair_dataset` to be materialized.

    Raises:
        CurationError: there is no version yet, or no candidate is left.
    """
    link = data / "pair_dataset"
    if not link.is_dir():
        raise CurationError(f"{link}: there is no version yet; materialize pair_dataset first")
    manifest = read_manifest(link)
    tables = tables_of(data)
    hashes, clusters = (ShardedTable(tables / "dedup" / name) for name in ("image_hashes", "duplicate_clusters"))
    candidates = ShardedTable(tables / "pairs" / "candidate_pairs")
    shares, by_request = decided(link)
    rules = DatasetRules(
        shares,
        read_selection(data, _excluded(manifest, candidates)),
        {site: Source(**terms) for site, terms in manifest["sources"].items()},
        by_request,
    )
    manifest = write_pair_dataset(candidates, link, rules, lambda: photo_ties(hashes, clusters))
    if not isinstance(tables, Path):  # for trainings on other machines, as the graph does
        version = Versions(link).folder / manifest["version"]
        send(version, tables / version.relative_to(data).as_posix())
    return manifest


def _excluded(manifest: Mapping[str, Any], candidates: ShardedTable) -> frozenset[str]:
    """Sites that were left out, and those that are new since: by which terms they come in, only the graph is told."""
    seen = set(candidates.table(["site"])["site"].unique().to_pylist())
    return frozenset({*manifest["excluded_sources"], *(seen - manifest["sources"].keys())})
