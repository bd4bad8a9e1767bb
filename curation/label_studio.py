"""Review in Label Studio: doubtful pairs out as tasks with pre-annotations, verdicts back in.

Tasks carry their pictures as data URIs, so that they open on any machine and no file has to be served. Format:
https://labelstud.io/guide/task_format.
"""

import base64
import json
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from PIL import Image

from curation.doubts import Key, make_doubts, pair_key
from curation.errors import CurationError
from curation.images import encode_jpeg
from curation.pair_rows import Pair, read_pairs
from curation.review import Decision, Rulings, Verdict, draw, read_verdicts
from curation.tables import write_json
from curation.taxonomy import CATEGORIES

_SIDE: Final = 360  # px, longest side of a picture in a task
_KEY: Final = ("anchor_sha256", "box", "positive_sha256")
_SHOWN: Final = ("category", "post_url", "product_url", "verification_score")

INTERFACE: Final = f"""<View>
  <Header value="Does the crop show this very product? Tagged as $category"/>
  <View style="display: flex; gap: 1em">
    <Image name="anchor" value="$anchor" maxWidth="360px"/>
    <Image name="positive" value="$positive" maxWidth="360px"/>
  </View>
  <Choices name="verdict" toName="anchor" choice="single" required="true">
    <Choice value="accept" hotkey="a"/>
    <Choice value="reject" hotkey="r"/>
    <Choice value="unsure" hotkey="u"/>
  </Choices>
  <Choices name="category" toName="anchor" choice="single" visibleWhen="choice-selected" whenTagName="verdict"
           whenChoiceValue="accept">
{chr(10).join(f'    <Choice value="{name}"/>' for name in CATEGORIES)}
  </Choices>
</View>
"""
"""The labelling interface that the tasks are made for."""


class ReviewError(CurationError):
    """Raised by `read_annotations` for a file that is no JSON export of these tasks."""


def write_tasks(data: Path, out: Path, doubtful: int, random: int) -> dict[str, int]:
    """Write `tasks.json` and `interface.xml` for pairs of the version in use that nobody has looked at yet.

    Args:
        data: data folder.
        out: folder to write to.
        doubtful: how many of the most doubtful pairs.
        random: how many more drawn at random, to estimate precision; a reviewer cannot tell which they are.

    Returns:
        Counts of both; a pair that is doubtful and drawn counts once, as doubtful.

    Raises:
        CurationError: a count is below 0, or both are 0, or there is no pair left to review.
    """
    for name, count in (("doubtful", doubtful), ("random", random)):
        if count < 0:
            raise CurationError(f"{name}: must be at least 0, got {count}")
    if not doubtful + random:
        raise CurationError("doubtful, random: one of them must be at least 1, got 0 and 0")
    version = data / "pair_dataset"
    rulings = Rulings(read_verdicts(data / "review" / "verdicts"))
    rows = make_doubts(data, version).to_pylist()
    if not rows:
        raise CurationError(f"{version}: there is no pair to review; those that came ready-made have no photo")
    new = [row for row in rows if rulings.of(*pair_key(row)) is None]
    most = {pair_key(row) for row in new[:doubtful]}
    drawn = sorted(new, key=lambda row: draw(row["anchor_sha256"], row["positive_sha256"]))[:random]
    chosen = most | {pair_key(row) for row in drawn}
    if not chosen:
        raise CurationError(f"{version}: every one of {len(rows)} pairs has been looked at")
    noise = {pair_key(row): row["noise"] for row in new}
    pairs = read_pairs(version, wanted=lambda facts: _among(facts, chosen))
    tasks = [_task(pair, noise[pair_key(pair.facts)]) for pair in pairs]
    tasks.sort(key=lambda task: -task["data"]["noise"])
    write_json(out / "tasks.json", tasks)
    (out / "interface.xml").write_text(INTERFACE)
    return {"doubtful": len(most), "random": len(chosen) - len(most)}


def read_annotations(path: Path) -> list[Verdict]:
    """Verdicts in a JSON export of a Label Studio project; skipped tasks and cancelled annotations give none.

    Raises:
        ReviewError: the file is no such export.
    """
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))
        return [verdict for task in tasks for verdict in _verdicts(task)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReviewError(f"{path} is no JSON export of these tasks: {type(error).__name__}: {error}") from error


def _among(facts: pa.Table, chosen: Collection[Key]) -> pa.Array:
    rows = facts.select(_KEY).to_pylist()
    return pa.array([row["box"] is not None and pair_key(row) in chosen for row in rows], pa.bool_())


def _task(pair: Pair, noise: float) -> dict[str, Any]:
    key = {name: pair.facts[name] for name in _KEY}
    shown = {name: pair.facts[name] for name in _SHOWN}
    guess = {"from_name": "category", "to_name": "anchor", "type": "choices"}
    return {
        "data": {**key, **shown, "noise": noise, "anchor": _uri(pair.anchor), "positive": _uri(pair.positive)},
        "predictions": [
            {
                "model_version": f"{pair.facts['detector_version']}/{pair.facts['classifier_version']}",
                "score": 1 - noise,
                "result": [
                    {**guess, "from_name": "verdict", "value": {"choices": [Decision.ACCEPT]}},
                    {**guess, "value": {"choices": [pair.facts["category"]]}},
                ],
            }
        ],
    }


def _verdicts(task: Mapping[str, Any]) -> Iterator[Verdict]:
    data = task["data"]
    for annotation in task["annotations"]:
        said = {item["from_name"]: item["value"]["choices"][0] for item in annotation["result"]}
        if annotation.get("was_cancelled") or "verdict" not in said:
            continue
        decision = Decision(said["verdict"])
        category = said.get("category") if decision is Decision.ACCEPT else None
        yield Verdict(
            data["anchor_sha256"],
            tuple(data["box"]),
            data["positive_sha256"],
            decision,
            reviewer=f"label-studio/{_who(annotation.get('completed_by'))}",
            category=None if category == data["category"] else category,
            at=datetime.fromisoformat(annotation["updated_at"]).astimezone(UTC).isoformat(timespec="microseconds"),
        )


def _who(user: Any) -> Any:
    return user.get("email", user["id"]) if isinstance(user, dict) else user


def _uri(image: Image.Image) -> str:
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE))
    return f"data:image/jpeg;base64,{base64.b64encode(encode_jpeg(small)).decode()}"
