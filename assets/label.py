"""Stage label: detector and classifier, and what they say about the crawled pictures."""

import json
import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import dagster as dg
from pydantic import Field

from assets.artifacts import model_outcome, step_arguments, train
from assets.once import listing
from assets.pictures import (
    boxes_sheet_metadata,
    confusion_table,
    disagreements_metadata,
    reliability_metadata,
    sheet_metadata,
)
from assets.promotion import PROMOTED, promoted
from assets.resources import DataFolder, DetectionSources, Engine, Recipes, Terms
from assets.shift import NO_SHIFT, Mix, no_shift
from assets.stage import Check, Outcome, Rows, mapped, no_failed_shard, reasons_table, stage
from curation.engine import MapReport
from curation.places import read_manifest
from curation.tables import ShardedTable, fingerprint
from models.card import read_sources, write_card
from models.promotion import CANDIDATE, Verdict

_SHARD_CHECKS = {"no_failed_shard": "Every shard was made.", "not_empty": "Something was kept.", **NO_SHIFT}


@stage(
    "label",
    kinds={"coco"},
    checks={"every_class": "Each class has boxes to learn from."},
    first=True,
)
def detection_dataset(data: DataFolder, sources: DetectionSources) -> Outcome:
    """Annotated street photos in one set of 7 or 12 classes.

    They are ModaNet's, Fashionpedia's, DeepFashion2's, K-Fashion's or of any COCO folder.
    """
    out = data.path / "label" / "detection_dataset"
    summary = sources.build(out)
    boxes = summary["boxes"]
    dropped = sum(summary["dropped"].values())
    kept = sum(boxes["train"].values()) + sum(boxes["validation"].values())
    facts = {
        "boxes": dg.MetadataValue.json(boxes),
        "dropped": reasons_table(summary["dropped"]),
        "sources": dg.MetadataValue.json(summary["sources"]),
        "pictures": boxes_sheet_metadata(out),
    }
    missing = [name for name, count in boxes["train"].items() if not count]
    check = Check(not missing, f"classes without boxes: {missing or 'none'}")
    return Outcome(out, Rows(kept + dropped, kept, dropped), facts, {"every_class": check})


@stage(
    "label",
    kinds={"pytorch", "transformers"},
    checks={"finds_garments": "A detector is in use whose AP50 on pictures that it did not see was above the floor."},
    warnings=PROMOTED,
    first=True,
    gpu=True,
)
def detector(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    recipes: Recipes,
    children: dg.PipesSubprocessClient,
    detection_dataset: Path,
) -> Outcome:
    """Detection transformer that finds the seven kinds of garment in photos of people."""
    learned, name = _photos_fingerprint(detection_dataset), CANDIDATE.format("detector")
    candidate = train(context, data, recipes, children, "detector", detection_dataset, learned, name=name)
    trained = model_outcome(candidate, "ap50", recipes.floor("detector"), "finds_garments")

    def weigh(in_use: Path | None) -> tuple[Verdict, None]:
        from models.detector.gate import weigh_detector

        return weigh_detector(candidate, in_use, detection_dataset, margin=recipes.margin), None

    return promoted(trained, "detector", data, recipes, weigh)


@stage(
    "label",
    kinds={"pytorch", "transformers"},
    checks={
        "knows_categories": "A classifier is in use whose accuracy on products that it did not see was above the floor."
    },
    warnings=PROMOTED,
    gpu=True,
)
def category_classifier(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    recipes: Recipes,
    terms: Terms,
    children: dg.PipesSubprocessClient,
    kream_catalog: ShardedTable,
    detection_dataset: Path,
) -> Outcome:
    """Names the category of a thumbnail, or rejects it (`etc`). Learns from the shop and from annotated photos."""
    catalog, also = data.path / "crawl" / "catalog", recipes.thumbnails
    boxes = os.path.relpath(detection_dataset, catalog)  # stays the same where the data folder is moved
    known = [listing(Path(also))] if also else []
    learned = fingerprint([kream_catalog.fingerprint, _photos_fingerprint(detection_dataset), *known])
    name, more = CANDIDATE.format("classifier"), {"also": also, "boxes": boxes}
    candidate = train(context, data, recipes, children, "classifier", catalog, learned, name=name, **more)
    metrics = read_manifest(candidate)["metrics"]
    shops = {site: asdict(source) for site, source in terms.sources.items()}
    besides = [detection_dataset, *([Path(also)] if also else [])]
    write_card(candidate, shops | {name: of for folder in besides for name, of in read_sources(folder).items()})
    facts = {
        "confusion": confusion_table(metrics["confusion"]),
        "reliability_before": reliability_metadata(metrics["reliability_before"], "before calibration"),
        "reliability": reliability_metadata(metrics["reliability"], "after calibration, held-out products"),
        **disagreements_metadata(metrics["disagreements"], kream_catalog),
    }
    trained = model_outcome(candidate, "accuracy", recipes.floor("classifier"), "knows_categories", **facts)

    def weigh(in_use: Path | None) -> tuple[Verdict, None]:
        from models.classifier.gate import weigh_classifier

        return weigh_classifier(candidate, in_use, catalog, margin=recipes.margin), None

    return promoted(trained, "classifier", data, recipes, weigh)


@stage("label", kinds={"pytorch", "parquet"}, checks=_SHARD_CHECKS, automatic=True)
def post_crops(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    engine: Engine,
    config: Mix,
    detector: Path,
    onthelook_posts: ShardedTable,
    kream_posts: ShardedTable,
) -> Outcome:
    """Garments found in every photo of every post, and their crops."""
    del onthelook_posts, kream_posts  # read with those of every other site in the folder
    posts = data.posts()
    output = data.table("label/post_crops")
    report = engine.map(
        context, "models.detector.step:CropPosts", [posts], output, **step_arguments("detector", detector)
    )
    crops = sheet_metadata(report.table, caption="category")
    checks = {**_shard_checks(report), **no_shift(data, report.table, config, count_dropped=False)}
    return mapped(report, report.table.rows, {"crops": crops}, **checks)


class Thumbnails(Mix):
    """Which thumbnails are believed."""

    least_probability: float | None = Field(
        None, ge=0, le=1, description="below which a thumbnail's category is not believed; by default the recipe's"
    )


@stage("label", kinds={"pytorch", "parquet"}, checks=_SHARD_CHECKS, automatic=True)
def thumbnail_categories(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    engine: Engine,
    recipes: Recipes,
    config: Thumbnails,
    category_classifier: Path,
    onthelook_posts: ShardedTable,
    kream_posts: ShardedTable,
) -> Outcome:
    """Category and confidence of every tagged product's thumbnail."""
    del onthelook_posts, kream_posts  # read with those of every other site in the folder
    posts = data.posts()
    output = data.table("label/thumbnail_categories")
    least = recipes.least_probability if config.least_probability is None else config.least_probability
    arguments = step_arguments("classifier", category_classifier)
    step = "models.classifier.step:ClassifyThumbnails"
    report = engine.map(context, step, [posts], output, **arguments, min_probability=least)
    kept = report.table.table(["category", "kept"])
    categories = Counter(kept.filter(kept["kept"])["category"].to_pylist())
    checks = {**_shard_checks(report), **no_shift(data, report.table, config, count_dropped=True)}
    return mapped(report, report.table.rows, {"categories": reasons_table(categories)}, **checks)


def _photos_fingerprint(detection_dataset: Path) -> str:
    return str(json.loads((detection_dataset / "dataset.json").read_text())["fingerprint"])


def _shard_checks(report: MapReport) -> dict[str, Check]:
    kept = report.counts.get("kept", 0)
    return {"no_failed_shard": no_failed_shard(report), "not_empty": Check(kept > 0, f"{kept} rows kept")}
