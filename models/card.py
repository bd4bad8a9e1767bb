"""Model cards in the Hugging Face format: what a checkpoint is, how well it did on what, from whose data, and limits.

`README.md` is written from the checkpoint's manifest and from `card.json` beside it, which holds what the manifest
does not know: the terms of the data's sources, and results that were measured after training.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from curation.card import CARD
from curation.tables import write_json
from models.checkpoint import MANIFEST, Kind, Manifest

FACTS: Final = "card.json"

Result = dict[str, Any]
"""`dataset`, `split`, and `metrics`: name → number, or `mean`, `low`, `high` of a 95 % interval."""

_TASKS: Final[Mapping[Kind, tuple[str, str]]] = {
    "detector": ("object-detection", "Finds garments of seven kinds in photos of people."),
    "classifier": ("image-classification", "Names the category of a shop's thumbnail, or rejects it as `etc`."),
    "encoder": (
        "image-feature-extraction",
        "Embeds garments so that one worn in a photo lies near the shop's thumbnail of it.",
    ),
}
_USAGE: Final[Mapping[Kind, str]] = {
    "detector": "from models.detector.infer import Detector\n\n"
    'garments = Detector.load("REPOSITORY").detect([image], threshold=0.4)',
    "classifier": "from models.classifier.infer import Classifier\n\n"
    'probabilities = Classifier.load("REPOSITORY").probabilities([thumbnail])',
    "encoder": "from models.encoder.infer import Encoder\n\n"
    'vectors = Encoder.load("REPOSITORY").embed([crop])  # unit length: inner products are cosines',
}
_LIMITS: Final[Mapping[Kind, str]] = {
    "detector": "It learned mostly from people in view: garments photographed alone are found less often.",
    "classifier": "It learned the shop's own filing, mistakes included. Its probabilities are calibrated on that "
    "shop's thumbnails and mean little on other pictures.",
    "encoder": "Its pairs were labelled automatically, and wrong tags of users are among them. Those it is measured "
    "on passed the same checks, an encoder's opinion among them: hard ones are missing there, and recall looks better "
    "than it is. It expects one garment per picture. Vectors of different versions must not be mixed.",
}


def write_card(folder: Path, sources: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the card of a checkpoint directory.

    Args:
        folder: has a manifest.
        sources: of its data: name → `licence` and whether `commercial` use is allowed.
    """
    write_json(folder / FACTS, {**_facts(folder), "sources": dict(sources)})
    _render(folder)


def add_result(folder: Path, result: Result) -> None:
    """Add what was measured to a card, in place of an earlier result on the same split of the same data."""
    facts = _facts(folder)
    same = result["dataset"], result["split"]
    others = [row for row in facts["results"] if (row["dataset"], row["split"]) != same]
    write_json(folder / FACTS, {**facts, "results": [*others, result]})
    _render(folder)


def metrics_of(summaries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Metrics of a `Result` out of summaries by name: `r@1` of the one without a name, `r@1 NAME` of the others.

    Args:
        summaries: measure → `mean`, `low`, `high` and more; other values are left out.
    """
    return {
        f"{measure} {name}".strip(): {bound: of[bound] for bound in ("mean", "low", "high")}
        for name, measures in summaries.items()
        for measure, of in measures.items()
        if isinstance(of, Mapping)
    }


def read_sources(data: Path) -> dict[str, dict[str, Any]]:
    """Sources of a detection or pair dataset with their terms; data that does not say is a source without terms."""
    for name in ("dataset.json", "manifest.json"):
        if (data / name).is_file():
            sources = json.loads((data / name).read_text()).get("sources", {})
            return dict(sources) if sources else _unknown(data)
    return _unknown(data)


def _unknown(data: Path) -> dict[str, dict[str, Any]]:
    return {data.name: {"licence": "not on record", "commercial": False}}


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / FACTS
    return dict(json.loads(path.read_text())) if path.is_file() else {"sources": {}, "results": []}


def _render(folder: Path) -> None:
    manifest = Manifest.model_validate_json((folder / MANIFEST).read_text())
    facts = _facts(folder)
    validation = {"dataset": manifest.data_fingerprint, "split": "validation", "metrics": _numbers(manifest.metrics)}
    results = [validation, *facts["results"]]
    text = f"---\n{_head(manifest, results, facts['sources'])}\n---\n{_body(manifest, results, facts['sources'])}"
    temporary = folder / f".{CARD}.tmp"
    temporary.write_text(text)
    temporary.replace(folder / CARD)  # a version may share the file with its candidate: never write into it


def _head(manifest: Manifest, results: list[Result], sources: Mapping[str, Any]) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    task, _ = _TASKS[manifest.kind]
    free = bool(sources) and all(_is_mit(terms) for terms in sources.values())
    base = str(manifest.config.get("pretrained", ""))
    evaluations = [
        EvalResult(
            task_type=task,
            dataset_type=result["dataset"] or "unknown",
            dataset_name=f"{manifest.kind} data {result['dataset'] or 'unknown'}",
            dataset_split=result["split"],
            metric_type=name,
            metric_value=round(_mean(value), 4),
        )
        for result in results
        for name, value in result["metrics"].items()
    ]
    data = ModelCardData(
        model_name=f"fashion-pairs {manifest.kind} {manifest.version}",
        pipeline_tag=task,
        library_name="transformers",
        license="mit" if free else "other",
        license_name=None if free else "terms-of-the-training-data",
        base_model=base if base.count("/") == 1 and not base.startswith((".", "/")) else None,
        tags=["fashion", "image-retrieval"],
        eval_results=evaluations or None,
    )
    return data.to_yaml().strip()


def _is_mit(terms: Mapping[str, Any]) -> bool:
    """Whether a source's terms are the MIT licence, by its name alone or in brackets at the end."""
    return bool(terms["commercial"]) and re.fullmatch(r"MIT|.*\(MIT\)", terms["licence"]) is not None


def _body(manifest: Manifest, results: list[Result], sources: Mapping[str, Any]) -> str:
    _, purpose = _TASKS[manifest.kind]
    measured = "\n".join(_rows(results)) or "| | not measured | |"
    return f"""# {manifest.kind.capitalize()} {manifest.version}

{purpose}

```python
{_USAGE[manifest.kind]}
```

## Results

| data, split | measure | |
|---|---|--:|
{measured}

Brackets hold 95 % intervals. On its validation split a model looks better than it is: its weights were chosen there.

## Data and terms

Trained on data of fingerprint `{manifest.data_fingerprint or "unknown"}`.

{_terms(sources)}

## Limits

{_LIMITS[manifest.kind]}

## How it was made

Code {manifest.code_version or "unknown"}, {manifest.created or "at an unknown time"}.

```json
{json.dumps(manifest.config, indent=1, ensure_ascii=False)}
```
"""


def _rows(results: list[Result]) -> Iterator[str]:
    for result in results:
        for name, value in result["metrics"].items():
            shown = f"{_mean(value):.4g}"
            if isinstance(value, Mapping):
                shown += f" ({value['low']:.3f}-{value['high']:.3f})"
            yield f"| {result['dataset'] or 'unknown'}, {result['split']} | {name} | {shown} |"


def _terms(sources: Mapping[str, Any]) -> str:
    if not sources:
        return "The terms of its sources are not on record."
    lines = [
        f"| {name} | {terms['licence']} | {'yes' if terms['commercial'] else 'not cleared'} |"
        for name, terms in sources.items()
    ]
    return "\n".join(["| source | terms | commercial use |", "|---|---|---|", *lines])


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that are numbers, and those of a table by class as `name/class`."""
    tables = {
        f"{name}/{key}": value
        for name, table in metrics.items()
        if isinstance(table, Mapping)
        for key, value in table.items()
    }
    every = {**metrics, **tables}
    return {name: value for name, value in every.items() if isinstance(value, int | float) and name != "step"}


def _mean(value: Any) -> float:
    return float(value["mean"] if isinstance(value, Mapping) else value)
