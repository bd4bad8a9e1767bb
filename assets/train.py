"""Stage train: the encoder, one encoder per category, and how well they find products they never saw."""

import shutil
from pathlib import Path
from typing import Literal

import dagster as dg
from pydantic import Field

from assets.artifacts import each, model_outcome, train
from assets.pictures import bars_metadata, differences_table, examples_metadata, measures_table
from assets.promotion import PROMOTED, promoted
from assets.resources import DataFolder, Recipes
from assets.stage import Check, Outcome, Rows, stage
from curation.duplicates import product_clusters
from curation.places import read_manifest
from curation.tables import ShardedTable, write_json
from curation.taxonomy import CATEGORIES
from models.card import Result
from models.promotion import CANDIDATE, Verdict

Measure = Literal["r@1", "r@5", "r@10", "r@20", "mrr", "map", "ndcg"]
"""Those of `models.encoder.evaluate` of which more is better; a wrong one is refused before the training."""


class Promotion(dg.Config):
    """When a newly trained encoder replaces the one in use."""

    measure: Measure = Field("r@1", description="by which the two are compared, on the test split")
    margin: float | None = Field(
        None,
        ge=0,
        le=1,
        description="how much worse the new one may be, in the measure's unit; by default the recipe's",
    )


@stage(
    "train",
    kinds={"pytorch", "transformers"},
    checks={"learned": "An encoder is in use whose R@1 on the validation split was above the floor."},
    warnings=PROMOTED,
    gpu=True,
)
def encoder(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    recipes: Recipes,
    children: dg.PipesSubprocessClient,
    config: Promotion,
    pair_dataset: Path,
    kream_catalog: ShardedTable,
    duplicate_clusters: ShardedTable,
) -> Outcome:
    """One encoder for all categories: a worn garment and its shop thumbnail come to lie close together."""
    fingerprint = read_manifest(pair_dataset)["fingerprint"]
    name = CANDIDATE.format("encoder")
    candidate = train(context, data, recipes, children, "encoder", pair_dataset, fingerprint, name=name)
    trained = model_outcome(candidate, "r@1", recipes.floor("encoder"), "learned")

    def weigh(in_use: Path | None) -> tuple[Verdict, Result | None]:
        from models.encoder.gate import weigh_encoder

        clusters = product_clusters(duplicate_clusters)
        margin = recipes.margin if config.margin is None else config.margin
        return weigh_encoder(
            candidate, in_use, pair_dataset, kream_catalog, clusters=clusters, margin=margin, measure=config.measure
        )

    return promoted(trained, "encoder", data, recipes, weigh)


@stage(
    "train",
    kinds={"pytorch", "transformers"},
    checks={"all_trained": "Every category with enough pairs has its encoder, and there is such a category."},
    first=True,
    gpu=True,
)
def category_encoders(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    recipes: Recipes,
    children: dg.PipesSubprocessClient,
    pair_dataset: Path,
    encoder: Path,
) -> Outcome:
    """One encoder per category, each grown from the common one on that category's pairs alone."""
    manifest = read_manifest(pair_dataset)
    key = f"{manifest['fingerprint']}/{read_manifest(encoder)['version']}"
    counts = manifest["rows_per_category"]
    enough: list[str] = [name for name in CATEGORIES if counts.get(name, 0) >= recipes.least_pairs]

    def grow(name: str) -> float:
        checkpoint = train(
            context,
            data,
            recipes,
            children,
            "encoder",
            pair_dataset,
            key,
            name=f"category_encoders/{name}",
            recipe="category-encoder",
            pretrained=str(encoder),
            categories=[name],
        )
        return float(read_manifest(checkpoint)["metrics"]["r@1"])

    r_at_1 = dict(zip(enough, each(grow, enough, recipes.side_by_side), strict=True))
    facts = {"r@1_on_validation": bars_metadata(r_at_1, "R@1 on validation by category")}
    out = data.path / "models" / "category_encoders"
    out.mkdir(parents=True, exist_ok=True)  # a few real photos may hold too few pairs of every category
    for name in set(CATEGORIES) - set(enough):
        _remove(out / name)
    passed = bool(enough) or not recipes.gated
    check = Check(passed, f"trained: {', '.join(enough) or 'none'}; pairs: {counts}")
    rows = Rows(sum(counts.values()), sum(counts[name] for name in enough))
    return Outcome(out, rows, facts, {"all_trained": check})


def _remove(checkpoint: Path) -> None:
    """Remove a checkpoint; the notes beside it go first, so that none says of half a checkpoint that it is current."""
    for note in checkpoint.parent.glob(f"{checkpoint.name}.*.json"):
        note.unlink()
    if checkpoint.is_dir():
        shutil.rmtree(checkpoint)


@stage(
    "train",
    kinds={"numpy"},
    checks={"beats_baselines": "Finds test products more often than a colour histogram and a perceptual hash do."},
    remembered="1",
)
def encoder_report(
    data: DataFolder,
    recipes: Recipes,
    pair_dataset: Path,
    encoder: Path,
    category_encoders: Path,
    kream_catalog: ShardedTable,
    duplicate_clusters: ShardedTable,
) -> Outcome:
    """Recall@k, MRR, mAP, nDCG of test crops against the whole catalog, with intervals, beside the baselines."""
    from models.encoder.infer import Encoder
    from models.encoder.report import BASELINES, by_category, evaluate_encoders, uniform

    common = Encoder.load(encoder).embed
    grown = [category_encoders / name for name in CATEGORIES]  # beside them may lie what a killed training left
    own = {path.name: Encoder.load(path).embed for path in grown if (path / "manifest.json").is_file()}
    measured = evaluate_encoders(
        {"encoder": uniform(common), "per_category": by_category(own, common), **BASELINES},
        pair_dataset,
        kream_catalog,
        clusters=product_clusters(duplicate_clusters),
    )
    out = data.path / "train" / "encoder_report"
    write_json(out / "manifest.json", measured.numbers)
    filtered = {name: part["filtered"] for name, part in measured.numbers["encoders"].items()}
    recall = {name: part["overall"]["r@1"]["mean"] for name, part in filtered.items()}
    best_baseline = max(recall[name] for name in BASELINES)
    passed = recall["encoder"] > best_baseline or not recipes.gated
    facts = {
        **{f"r@1_{name}": value for name, value in recall.items()},
        "r@1": bars_metadata(recall, "R@1 of test crops in the whole catalog, category filter"),
        "all": measures_table({name: part["overall"] for name, part in filtered.items()}),
        "by_category": measures_table(filtered["encoder"]["by_category"]),
        "by_category_with_its_own_encoder": measures_table(filtered["per_category"]["by_category"]),
        "differences": differences_table(measured.numbers["comparisons"]),
        "worst_queries": examples_metadata(measured.worst),
    }
    check = Check(passed, f"encoder {recall['encoder']:.3f}, best baseline {best_baseline:.3f}")
    queries, lost = measured.numbers["queries"], measured.numbers["not_in_catalog"]
    return Outcome(out, Rows(queries + lost, queries, lost), facts, {"beats_baselines": check})
