"""The dataset card: numbers, terms of every source, and pictures of what a pair is."""

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageOps

from curation.images import encode_jpeg
from curation.pair_rows import Pair, read_pairs

CARD: Final = "README.md"
PICTURE: Final = "pictures.jpg"
_SIDE: Final = 120  # px of a tile
_PAIRS: Final = 21
_COLUMNS: Final = 3  # of pairs
_PER_CATEGORY: Final = 3
_LOOKED_AT: Final = 400  # pairs, among which the pictures are chosen


def write_card(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write `README.md` and its pictures into a version's folder."""
    (folder / PICTURE).write_bytes(encode_jpeg(_sheet(_varied(islice(read_pairs(folder), _LOOKED_AT)))))
    (folder / CARD).write_text(_text(manifest))


def _varied(pairs: Iterable[Pair]) -> list[Pair]:
    """A few pairs of each category, one per product."""
    chosen: dict[tuple[str, str], Pair] = {}
    for pair in pairs:
        category = pair.facts["category"]
        if sum(name == category for name, _ in chosen) < _PER_CATEGORY:
            chosen.setdefault((category, pair.facts["positive_sha256"]), pair)
    return [chosen[key] for key in sorted(chosen)][:_PAIRS]


def _sheet(pairs: list[Pair]) -> Image.Image:
    """Anchors, each with its positive to the right."""
    rows = -(-len(pairs) // _COLUMNS)
    sheet = Image.new("RGB", (max(1, _COLUMNS * (2 * _SIDE + 12)), max(1, rows * (_SIDE + 8))), "white")
    for number, pair in enumerate(pairs):
        x, y = number % _COLUMNS * (2 * _SIDE + 12), number // _COLUMNS * (_SIDE + 8)
        for side, picture in enumerate((pair.anchor, pair.positive)):
            sheet.paste(ImageOps.pad(picture, (_SIDE, _SIDE), color="white"), (x + side * _SIDE, y))
    return sheet


def _text(manifest: Mapping[str, Any]) -> str:
    files = "\n".join(
        f"  - split: {name}\n    path: {name}-*.parquet" for name, rows in manifest["rows"].items() if rows
    )
    changes = ", ".join(f"{count} {kind}" for kind, count in manifest["difference"].items())
    return f"""---
configs:
- config_name: default
  data_files:
{files}
license: other
task_categories: [image-feature-extraction]
tags: [fashion, image-retrieval, contrastive]
---
# Anchor-positive pairs of worn garments and shop thumbnails

`anchor` is a garment cut out of a user's outfit photo by a detector, `positive` the shop's own thumbnail of a product
that the user tagged in it. Pairs are labelled automatically; wrong tags of users are among them.

![pairs, anchor beside positive]({PICTURE})

{_table("split", "pairs", manifest["rows"])}

{_table("category", "pairs", manifest["rows_per_category"])}

## Sources and terms

| source | pairs | terms | commercial use |
|---|--:|---|---|
{_sources(manifest)}

Photos belong to those who posted them. Use the data within these terms, and honour take-downs: use the newest version
only.

## How it was made

Rows that share a post, a product or a near-duplicate cluster are in one split, and a row never moves from train to
test. Every row carries its provenance (post, product, box, scores, hashes, model versions), so that it can be traced,
masked or removed. It holds no user name, avatar or text.{_left_out(manifest)}{_review(manifest["review"])}

Version {manifest["version"]} of {manifest["created_at"]}, after {manifest["parents"]["version"] or "none"}: {changes}.
Fingerprint `{manifest["fingerprint"]}`.
"""


def _table(head: str, count: str, values: Mapping[str, int]) -> str:
    return "\n".join(
        [f"| {head} | {count} |", "|---|--:|", *(f"| {name} | {rows:,} |" for name, rows in values.items())]
    )


def _sources(manifest: Mapping[str, Any]) -> str:
    lines = []
    for name, terms in manifest["sources"].items():
        shown = f"[{name}]({terms['url']})" if terms["url"] else name
        allowed = "yes" if terms["commercial"] else "not cleared"
        lines.append(f"| {shown} | {manifest['rows_per_source'].get(name, 0):,} | {terms['licence']} | {allowed} |")
    return "\n".join(lines)


def _left_out(manifest: Mapping[str, Any]) -> str:
    if not manifest["left_out"]:
        return ""
    reasons = ", ".join(f"{rows} {reason.replace('_', ' ')}" for reason, rows in manifest["left_out"].items())
    return f"\n\nLeft out after pairing: {reasons}."


def _review(review: Mapping[str, Any]) -> str:
    if not review.get("reviewed"):
        return ""
    text = f"\n\nPeople looked at {review['reviewed']} pairs and rejected {review['rejected']}."
    if "precision_before" in review:
        text += (
            f" By {review['random_sample']} pairs drawn at random, {review['precision_before']:.3f} of all were right"
            f" (95 % interval {review['low']:.3f}-{review['high']:.3f}) and {review['precision_after']:.3f} are now."
        )
    return text
