"""Is our training recipe better than the prior one? Each of its parts is switched off in turn, on one set of pairs.

All recipes get the same network, steps, batch and seeds, and search the whole catalog with the category filter for
crops of products they never saw. `--pairs` and `--catalog` name what a run of the graph left; without them a world is
drawn. `--pairs shop` takes the studio photos of `FASHION_REAL_DATA/shop` in folds, and the mean over them.
"""

import argparse
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from transformers import AutoImageProcessor  # noqa: TID253

from benchmarks.pairs import draw_pairs, shop_folds
from curation.tables import ShardedTable
from curation.taxonomy import CATEGORIES
from models.device import pick_device
from models.encoder.infer import Encoder
from models.encoder.model import ImageEncoder
from models.encoder.report import by_category, evaluate_encoders, uniform
from models.errors import DataError
from models.presets import preset
from models.run import train

_PLAIN_BATCHES: Final = {"distinct_products": False, "same_category": 0.0}
_NO_AUGMENTATION: Final = {"recolour": 0.0, "splice": 0.0, "zoom": 0.0, "rotation": 0.0, "jitter": 0.0, "cast": 0.0}
_PRIOR: Final = {
    # Cross entropy over anchor·positive / 0.07 one way; rows as they come; whole thumbnails; turned, jittered, erased.
    "both_directions": False,
    "thumbnails_apart": False,
    "mask_same_product": False,
    "learn_temperature": False,
    "optimiser": "adamw",
    "trim": False,
    "scales": [1.0],
    **_PLAIN_BATCHES,
    **_NO_AUGMENTATION,
    "rotation": 27.0,  # 90° for three in ten pictures there
    "jitter": 0.2,
    "erase": 0.1,
}
RECIPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "ours": {},
    "prior": _PRIOR,
    "triplet": {**_PRIOR, "loss": "triplet"},
    "ours, small batch": {"batch": 32},  # the memory of 32 pairs without gradient caching
    "ours, cached": {"micro_batch": 32},  # the same memory with it: the whole batch
    "ours, one direction": {"both_directions": False},
    "ours, thumbnails not apart": {"thumbnails_apart": False},
    "ours, no mask": {"mask_same_product": False},
    "ours, plain batches": _PLAIN_BATCHES,
    "ours, with mined negatives": {"hard_negatives": 0.3},
    "ours, no augmentation": _NO_AUGMENTATION,
    "ours, no splicing": {"splice": 0.0},
    "ours, AdamW": {"optimiser": "adamw"},
    "ours, product ids": {"loss": "classification"},
}
RESCALED: Final[Mapping[str, Mapping[str, Sequence[float]]]] = {
    "ours": {"ours, one scale": [1.0]},
    "prior": {"prior, at our scales": preset("encoder", "tiny")["scales"]},
}
"""Trained once, seen otherwise."""


def main() -> None:
    """Train every recipe with every seed; print R@1 and errors beside the prior recipe's, and the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipe", description=__doc__)
    parser.add_argument("--pairs", help="pair dataset, or `shop`")
    parser.add_argument("--catalog", type=Path, help="catalog table")
    parser.add_argument("--world", type=int, default=401, help="seed of the drawn world")
    parser.add_argument("--posts", type=int, default=1000, help="of the drawn world")
    parser.add_argument("--folds", type=int, default=3, help="of the studio photos")
    parser.add_argument("--steps", type=int, default=preset("encoder", "tiny")["steps"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of training")
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--scales", nargs="+", type=_scales, default=[], help="see `ours` at these too, such as 1,.9")
    options = parser.parse_args()
    if options.pairs not in (None, "shop") and options.catalog is None:
        parser.error("--pairs: needs --catalog, in which the crops are searched for")
    with tempfile.TemporaryDirectory(prefix="fashion-recipe-") as name:
        folder = Path(name)
        errors: dict[str, list[float]] = defaultdict(list)
        for part, (pairs, catalog) in enumerate(_data(options, folder / "data")):
            for seed in options.seeds:
                measured = _compare(options, seed, pairs, catalog, folder / f"{part}-{seed}")
                for recipe, error in measured.items():
                    errors[recipe].append(error)
    _report(errors)


def _data(options: argparse.Namespace, out: Path) -> list[tuple[Path, ShardedTable]]:
    if options.pairs == "shop":
        return shop_folds(Path(os.environ["FASHION_REAL_DATA"]) / "shop", options.folds, out)
    if options.pairs:
        return [(Path(options.pairs), ShardedTable(options.catalog, "kream"))]
    return [draw_pairs(options.world, options.posts, out)]


def _compare(
    options: argparse.Namespace, seed: int, pairs: Path, catalog: ShardedTable, folder: Path
) -> dict[str, float]:
    """The error in R@1 of each recipe, of some at other scales too, and of an encoder per category (of `ours`)."""
    errors = {}

    def note(name: str, common: Encoder, own: Mapping[str, Encoder]) -> None:
        errors[name] = 1 - _recall(common, own, pairs, catalog)
        print(f"{folder.name:<8}{name:<28} R@1 {1 - errors[name]:.3f}", flush=True)

    profile = "tiny-photos" if options.pairs == "shop" else "tiny"
    for name in options.recipes:
        values = {"processes": 1, **RECIPES[name], "steps": options.steps, "seed": seed}
        train("encoder", preset("encoder", profile, **values), pairs, folder / name)
        note(name, Encoder.load(folder / name), {})
        others = {f"ours, at {scales}": scales for scales in options.scales if name == "ours"}
        for other, scales in {**RESCALED.get(name, {}), **others}.items():
            note(other, _at(folder / name, scales), {})
    if "ours" in options.recipes:
        note("per category", Encoder.load(folder / "ours"), _specialists(folder / "ours", pairs, profile))
    return errors


def _scales(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _at(folder: Path, scales: Sequence[float]) -> Encoder:
    """A trained encoder at other scales than its own."""
    processor = AutoImageProcessor.from_pretrained(folder)
    processor.scales = scales
    return Encoder(ImageEncoder.load(folder), processor, "", pick_device("auto"))


def _specialists(parent: Path, pairs: Path, profile: str) -> dict[str, Encoder]:
    """An encoder for each category; one without pairs in a split has none, and is searched by the common one."""
    own = {}
    for category in CATEGORIES:
        values = preset("category-encoder", profile, pretrained=str(parent), categories=[category])
        out = parent.with_name(f"{parent.name}-{category}")
        try:
            train("encoder", {**values, "architecture": {}}, pairs, out)
        except DataError as error:
            print(f"no encoder for {category}: {error}")
        else:
            own[str(category)] = Encoder.load(out)
    return own


def _recall(common: Encoder, own: Mapping[str, Encoder], pairs: Path, catalog: ShardedTable) -> float:
    specialists = {name: encoder.embed for name, encoder in own.items()}
    embed = by_category(specialists, common.embed) if own else uniform(common.embed)
    numbers = evaluate_encoders({"encoder": embed}, pairs, catalog, examples=1).numbers
    return float(numbers["encoders"]["encoder"]["filtered"]["overall"]["r@1"]["mean"])


def _report(errors: Mapping[str, Sequence[float]]) -> None:
    mean = {name: float(np.mean(values)) for name, values in errors.items()}
    print(f"\n{'recipe':<30}{'R@1':>8}{'error of prior':>16}")
    for name, error in mean.items():
        ratio = f"{error / mean['prior']:.2f}" if mean.get("prior") else "–"
        print(f"{name:<30}{1 - error:>8.3f}{ratio:>16}")
    compared = {
        "error_vs_prior": ("ours", "prior"),
        "triplet_error_vs_prior": ("triplet", "prior"),
        "per_category_error_vs_single": ("per category", "ours"),
    }
    figures = {
        name: round(mean[a] / mean[b], 3) if a in mean and mean.get(b) else None for name, (a, b) in compared.items()
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
