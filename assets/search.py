"""Stage search: vectors of the catalog, the index, and query photos with what was found, as pictures."""

from pathlib import Path

import dagster as dg

from assets.artifacts import step_arguments
from assets.pictures import picture_metadata
from assets.resources import DataFolder, Engine, ProductIndexes
from assets.stage import Check, Outcome, Rows, mapped, no_failed_shard, reasons_table, stage
from curation.places import read_manifest
from curation.tables import ShardedTable, write_json

_QUERIES = 9
_PROMISED_RECALL = 0.99  # as in search.index.config, which cannot be imported without the libraries of the index


@stage(
    "search",
    kinds={"pytorch", "parquet"},
    checks={"no_failed_shard": "Every shard was embedded."},
    automatic=True,
)
def catalog_embeddings(
    context: dg.AssetExecutionContext, data: DataFolder, engine: Engine, encoder: Path, kream_catalog: ShardedTable
) -> Outcome:
    """The catalog as vectors, each stamped with the version of the encoder that made it."""
    output = data.table("search/catalog_embeddings")
    arguments = step_arguments("encoder", encoder)
    report = engine.map(context, "models.encoder.step:EmbedCatalog", [kream_catalog], output, **arguments)
    return mapped(report, kream_catalog.rows, no_failed_shard=no_failed_shard(report))


@stage(
    "search",
    kinds={"faiss"},
    checks={
        "recall": f"Recall@10 against exact search is at least {_PROMISED_RECALL} for every category and filter; with"
        " less the build itself refuses the new version."
    },
    automatic=True,
)
def search_index(data: DataFolder, indexes: ProductIndexes, encoder: Path, catalog_embeddings: ShardedTable) -> Outcome:
    """The index, one partition per category. A new version replaces the old in one step, once its checks pass."""
    made_by = read_manifest(encoder)
    manifest = indexes.store(data).build(catalog_embeddings, made_by["version"], made_by["preprocessing"])
    out = data.path / "index"
    if indexes.milvus:  # the index lies there; what is handed on tells which version it is
        out = data.path / "search" / "search_index"
        write_json(out / "manifest.json", manifest.model_dump(mode="json"))
    lowest = manifest.lowest_recall
    facts = {
        "version": manifest.version,
        "encoder_version": manifest.encoder_version,
        "dimensions": manifest.dim,
        "products": reasons_table(manifest.counts),
        "recall_at_10": dg.MetadataValue.json(manifest.recalls),
    }
    check = Check(lowest >= _PROMISED_RECALL, f"lowest recall@10: {lowest:.4f}")
    return Outcome(out, Rows(manifest.rows, manifest.rows), facts, {"recall": check})


@stage(
    "search",
    kinds={"image"},
    checks={"answers": "Every query photo with a garment on it gets an answer."},
    remembered="1",
)
def search_report(
    data: DataFolder,
    indexes: ProductIndexes,
    encoder: Path,
    detector: Path,
    search_index: Path,
    pair_dataset: Path,
    onthelook_posts: ShardedTable,
    kream_posts: ShardedTable,
) -> Outcome:
    """Query photos of the test split → boxes → neighbours, as pictures; and example photos for the search page."""
    from models.encoder.infer import Encoder
    from search.examples import example_queries, write_examples
    from search.query import SearchService
    from search.report import report_sheet, worst_sheet
    from search.trials import known_pairs, run_trials

    del detector, search_index  # the service finds them in the data folder
    del onthelook_posts, kream_posts  # read with those of every other site in the folder
    service = SearchService.open(data.path, indexes.milvus)
    queries = example_queries(pair_dataset, data.posts(), _QUERIES)
    write_examples(queries, data.path / "examples")
    sheet, found = report_sheet(service, queries)
    out = data.path / "search" / "search_report"
    out.mkdir(parents=True, exist_ok=True)
    sheet.save(out / "queries.jpg", quality=88)
    trials = run_trials(Encoder.load(encoder), service.index, known_pairs(pair_dataset, service.index))
    worst = worst_sheet(service.index, trials)
    worst.save(out / "worst.jpg", quality=88)
    check = Check(found == len(queries), f"{found} of {len(queries)} photos answered")
    facts = {
        "queries": picture_metadata(sheet, "query photos with boxes and neighbours"),
        "worst_queries": picture_metadata(worst, "test crops whose product was found last"),
    }
    return Outcome(out, Rows(len(queries), found, len(queries) - found), facts, {"answers": check})
