"""Pictures for the UI: contact sheets and charts as small JPEGs inside markdown metadata."""

import base64
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from curation.errors import ImageError
from curation.images import decode, encode_jpeg
from curation.tables import Shard, ShardedTable
from curation.taxonomy import LABELS

if TYPE_CHECKING:
    from models.encoder.report import Example

_JPEG_QUALITY: Final = 72
_SIDE: Final = 104  # px of a tile
_TILES: Final = 28
_FEW_TILES: Final = 14
_PAIRS: Final = 18
_BAR: Final = 18  # characters of a full bar
_MEASURES: Final = ("r@1", "r@5", "r@10", "r@20", "map", "mrr", "ndcg")


def picture_metadata(image: Image.Image, alt: str) -> dg.MarkdownMetadataValue:
    """A picture behind the UI's "Show Markdown". Keep it under about 150 KB: it lives in the event log."""
    data = base64.b64encode(encode_jpeg(image, _JPEG_QUALITY)).decode()
    return dg.MetadataValue.md(f"![{alt}](data:image/jpeg;base64,{data})")


def tiles_metadata(
    tiles: Iterable[tuple[bytes, str]], alt: str, columns: int = 7, side: int = _SIDE
) -> dg.MarkdownMetadataValue:
    """Contact sheet of encoded pictures with captions; unreadable ones are left out. Where none is left, it says so."""
    from models.pictures import contact_sheet

    images: list[Image.Image] = []
    captions: list[str] = []
    for data, caption in tiles:
        try:
            images.append(decode(data))
        except ImageError:
            continue
        captions.append(caption)
    if not images:
        return dg.MetadataValue.md(f"{alt}: there are none")
    return picture_metadata(contact_sheet(images, captions, columns=columns, tile=side), alt)


def sheet_metadata(table: ShardedTable, caption: str) -> dg.MarkdownMetadataValue:
    """Contact sheet of a table's pictures (column `bytes`), spread over its shards.

    Args:
        table: any table with encoded pictures; rows without are passed over.
        caption: column written under each picture.
    """
    rows = spread_rows(table, ["bytes", caption], _TILES)
    return tiles_metadata(((row["bytes"], str(row[caption])) for row in rows), "contact sheet")


def pairs_sheet_metadata(table: ShardedTable) -> dg.MarkdownMetadataValue:
    """Contact sheet of candidate pairs, spread over the shards: anchor, positive, anchor, positive, …"""
    tiles: list[tuple[bytes, str]] = []
    for row in spread_rows(table, ["anchor_bytes", "positive_bytes", "category", "verification_score"], _PAIRS):
        tiles.append((row["anchor_bytes"], f"{row['category']} {row['verification_score']:.2f}"))
        tiles.append((row["positive_bytes"], "tagged"))
    return tiles_metadata(tiles, "anchors beside their positives", columns=12, side=80)


def spread_rows(table: ShardedTable, columns: Sequence[str], most: int) -> Iterator[dict[str, Any]]:
    """At most so many rows, about as many of each shard; those without the first column, a picture, are passed over."""
    shards = spread(table, most)
    each = -(-most // max(1, len(shards)))
    rows = (row for shard in shards for row in islice(_with_picture(shard, columns), each))
    return islice(rows, most)


def spread(table: ShardedTable, most: int) -> Sequence[Shard]:
    """At most so many shards of a table, evenly from the first to the last, which has what is newest."""
    last = len(table.shards) - 1
    return table.shards if last < most else [table.shards[number * last // (most - 1)] for number in range(most)]


def _with_picture(shard: Shard, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for batch in shard.batches(columns, rows=_TILES):
        yield from (row for row in batch.to_pylist() if row[columns[0]] is not None)


def boxes_sheet_metadata(dataset: Path) -> dg.MarkdownMetadataValue:
    """Some training pictures of a detection dataset with their boxes."""
    from models.boxes import Detection
    from models.pictures import contact_sheet, draw_boxes

    coco = json.loads((dataset / "annotations_train.json").read_text())
    names = {category["id"]: category["name"] for category in coco["categories"]}
    boxes: dict[int, list[Detection]] = defaultdict(list)
    for annotation in coco["annotations"]:
        x, y, width, height = annotation["bbox"]
        found = Detection(names[annotation["category_id"]], 1.0, (x, y, x + width, y + height))
        boxes[annotation["image_id"]].append(found)
    chosen = coco["images"][:_FEW_TILES]
    images = [
        draw_boxes(decode((dataset / "images" / row["file_name"]).read_bytes()), boxes[row["id"]]) for row in chosen
    ]
    return picture_metadata(contact_sheet(images, columns=7, tile=150), "pictures with boxes")


def curves_metadata(events: Sequence[Mapping[str, Any]]) -> dg.MarkdownMetadataValue:
    """Charts by step of every number in the events `step` and `evaluation` of a training, as in TensorBoard.

    A number that was measured only once has no curve.
    """
    from models.pictures import curve, tiled

    lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for event in events:
        for name, value in event.items():
            if event["event"] in ("step", "evaluation") and name not in ("step", "seconds") and _is_number(value):
                lines[name].append((event["step"], value))
    charts = [curve({name: points}, name) for name, points in lines.items() if len(points) > 1]
    if not charts:
        return dg.MetadataValue.md("too short for a curve")
    return picture_metadata(tiled(charts, columns=2), "curves by step")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def bars_metadata(values: Mapping[str, float], title: str) -> dg.MarkdownMetadataValue:
    """Shares between 0 and 1 as a table with bars, which the UI renders at any width."""
    lines = [f"| {name} | {value:.3f} | {'█' * round(_BAR * value)} |" for name, value in values.items()]
    return dg.MetadataValue.md("\n".join([f"| {title} | | |", "|---|--:|:--|", *lines]))


def confusion_table(confusion: Sequence[Sequence[int]]) -> dg.MarkdownMetadataValue:
    """Confusion matrix of the classifier: rows are the shop's category, columns the prediction."""
    head = f"| shop ↓ predicted → | {' | '.join(LABELS)} |"
    lines = [f"| {name} | {' | '.join(map(str, row))} |" for name, row in zip(LABELS, confusion, strict=True)]
    return dg.MetadataValue.md("\n".join([head, "|---" + "|--:" * len(LABELS) + "|", *lines]))


def reliability_metadata(table: Sequence[Mapping[str, float]], title: str) -> dg.MarkdownMetadataValue:
    """A reliability diagram: accuracy over confidence, beside the diagonal on which a calibrated classifier lies."""
    from models.pictures import curve

    points = [(row["confidence"], row["accuracy"]) for row in table]
    lines = {"accuracy": points, "calibrated": [(0.0, 0.0), (1.0, 1.0)]}
    return picture_metadata(curve(lines, title, x_name="confidence"), title)


def disagreements_metadata(
    rows: Sequence[Mapping[str, Any]], catalog: ShardedTable
) -> dict[str, dg.MarkdownMetadataValue]:
    """Thumbnails that the classifier names otherwise than their shop, surest first: as pictures and as a table."""
    shown = rows[:_FEW_TILES]
    wanted = {row["product_id"] for row in shown}
    found: dict[str, bytes] = {}
    for batch in catalog.batches(["product_id", "bytes"]) if wanted else ():
        chosen = batch.filter(pc.is_in(batch["product_id"], pa.array(sorted(wanted), pa.string())))
        found |= {row["product_id"]: row["bytes"] for row in chosen.to_pylist() if row["bytes"] is not None}
    tiles = [
        (found[row["product_id"]], f"{row['shop']} →\n{row['predicted']} {row['probability']:.2f}")
        for row in shown
        if row["product_id"] in found
    ]
    lines = [
        f"| {row['product_id']} | {row['shop']} | {row['predicted']} | {row['probability']:.3f} "
        f"| {'yes' if row['shop_is_wrong'] else ''} |"
        for row in rows
    ]
    head = ["| product | shop | classifier | probability | shop is taken to be wrong |", "|---|---|---|--:|---|"]
    facts = {"disagrees_with_the_shop": dg.MetadataValue.md("\n".join([*head, *lines]))}
    return {**facts, "disagreements": tiles_metadata(tiles, "disagreements")}


def measures_table(summaries: Mapping[str, Mapping[str, Any]]) -> dg.MarkdownMetadataValue:
    """Retrieval measures with 95 % intervals, a row per name."""
    lines = []
    for name, summary in summaries.items():
        cells = [f"{summary[m]['mean']:.3f} ({summary[m]['low']:.2f}-{summary[m]['high']:.2f})" for m in _MEASURES]
        lines.append(f"| {name} | {summary['queries']} | {' | '.join(cells)} |")
    return dg.MetadataValue.md(
        "\n".join([f"| | queries | {' | '.join(_MEASURES)} |", "|---|--:|" + "--:|" * len(_MEASURES), *lines])
    )


def differences_table(comparisons: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dg.MarkdownMetadataValue:
    """Paired differences of every measure with 95 % intervals and p-values."""
    lines = [
        f"| {name} | {measure} | {of['mean']:+.3f} ({of['low']:+.3f} to {of['high']:+.3f}) | {of['p']:.3f} "
        f"| {of['effect']:+.2f} | {of['better']} : {of['worse']} |"
        for name, measures in comparisons.items()
        for measure, of in measures.items()
    ]
    head = "| | measure | difference | p | effect | better : worse |"
    return dg.MetadataValue.md("\n".join([head, "|---|---|---|--:|--:|--:|", *lines]))


def examples_metadata(examples: Sequence["Example"]) -> dg.MarkdownMetadataValue:
    """Queries with the right product and what was found instead, a row each."""
    from models.pictures import contact_sheet

    tiles: list[Image.Image] = []
    captions: list[str] = []
    for example in examples:
        tiles += [example.query, example.right, *example.found]
        captions += [f"{example.category}, rank {example.rank}", "right", *map(str, range(1, len(example.found) + 1))]
    columns = 2 + len(examples[0].found)
    return picture_metadata(contact_sheet(tiles, captions, columns=columns, tile=72), "worst queries")
