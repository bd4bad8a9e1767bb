"""The encoder's gate: the candidate and the encoder in use look for the same test crops in the same catalog."""

from collections.abc import Mapping
from pathlib import Path

from curation.tables import ShardedTable
from models.card import Result
from models.checkpoint import open_checkpoint
from models.encoder.infer import Encoder
from models.encoder.report import BASELINES, card_metrics, evaluate_encoders, uniform
from models.errors import MetricError
from models.promotion import Verdict, beats, not_worse


def weigh_encoder(
    candidate: Path,
    in_use: Path | None,
    pairs: Path,
    catalog: ShardedTable,
    *,
    clusters: Mapping[str, str],
    margin: float,
    measure: str = "r@1",
) -> tuple[Verdict, Result]:
    """Measure a candidate on the test split, with the category filter, beside what it would replace.

    A row of the dataset never moves from train to test, so the encoder in use has not seen the test crops either.

    Args:
        candidate: checkpoint directory.
        in_use: checkpoint directory of the encoder that would be replaced; None asks to beat the baselines instead.
        pairs: pair dataset directory.
        catalog: see `evaluate_encoders`, likewise `clusters`.
        clusters: sha256 of a thumbnail → near-duplicate cluster.
        margin: how much worse than the one in use a candidate may be, in the measure's unit.
        measure: of `models.encoder.evaluate.per_query`.

    Returns:
        The verdict, and what was measured of the candidate, for its card.

    Raises:
        MetricError: no test crop has its product in the catalog.
    """
    others = BASELINES if in_use is None else {"in_use": uniform(Encoder.load(in_use).embed)}
    encoders = {"candidate": uniform(Encoder.load(candidate).embed), **others}
    report = evaluate_encoders(encoders, pairs, catalog, clusters=clusters, examples=0)
    values = {name: measures[measure] for name, measures in report.measures.items()}
    _, manifest = open_checkpoint(candidate, "encoder")
    metrics = card_metrics(report.numbers, "candidate")
    result = {"dataset": manifest.data_fingerprint, "split": "test", "metrics": metrics}
    if in_use is None:
        means = {name: float(of.mean()) for name, of in values.items()}
        return beats(measure, means.pop("candidate"), means), result
    try:
        verdict = not_worse(values["candidate"], values["in_use"], report.products, margin=margin, measure=measure)
    except MetricError as error:  # a handful of test crops cannot tell two encoders apart
        verdict = Verdict(False, str(error))
    return verdict, result
