"""What every asset of this project has in common: timing, row counts, blocking checks, and a record of the stage.

An asset body is a plain function that returns an `Outcome`; `stage` turns it into a Dagster asset.
"""

import inspect
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from warnings import catch_warnings, simplefilter

import dagster as dg

from assets.memory import MemoryPeak
from assets.orphans import end_with_run
from assets.remembered import identity, kept_at, recall, remember
from assets.resources import DataFolder
from curation.engine import FAILED, KEPT, MapReport
from curation.tables import write_json

OWNERS = ["team:data"]
GPU_TAG = {"gpu": "true"}
"""Of steps that fill a GPU: the full profile runs one of them at a time."""
_FORMAT = 2  # of remembered outcomes
WHEN_INPUTS_CHANGE = (
    dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()
).with_label("when its inputs changed and passed their checks")


@dataclass(frozen=True)
class Rows:
    """Every row that enters a stage leaves it kept, dropped or failed."""

    entered: int
    kept: int
    dropped: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Check:
    """What a check found. A blocking one that fails ends the chain there; one that warns does not."""

    passed: bool
    description: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a stage made."""

    value: Any  # a ShardedTable, or the Path of a directory
    rows: Rows
    metadata: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)


def stage(
    group: str,
    *,
    kinds: set[str],
    checks: Mapping[str, str],
    warnings: Mapping[str, str] | None = None,
    pool: str | None = None,
    after: Sequence[str] = (),
    first: bool = False,
    gpu: bool = False,
    automatic: bool = False,
    retries: dg.RetryPolicy | None = None,
    remembered: str = "",
) -> Callable[[Callable[..., Outcome]], dg.AssetsDefinition]:
    """Make an asset of a body. Its name, inputs and description are the function's own.

    Args:
        group: name of the stage (docs/ARCHITECTURE.md).
        kinds: what the UI shows as the asset's kind.
        checks: name → what it guards; all of them block, and the body must report each.
        warnings: checks that do not block, neither a run nor the sensor `middle_stages`; reported likewise.
        pool: concurrency pool, for what a machine has one of, and for what two runs must not make at once.
        after: assets that must be there first although the body does not take them.
        first: start it before other stages that are ready, since most of the graph waits for it.
        gpu: it trains.
        automatic: made by the sensor `middle_stages` when what it is made from has changed; for cheap stages.
        retries: of a step that another try may help, such as a crawl.
        remembered: the outcome follows from the inputs and resources that the body names, and from this version of the
            body: with the same ones it is not made a second time. Raise it when the body gives another outcome.
    """

    def decorate(body: Callable[..., Outcome]) -> dg.AssetsDefinition:
        name = body.__name__
        specs = [
            dg.AssetCheckSpec(key, asset=name, description=text, blocking=blocking)
            for texts, blocking in ((checks, True), (warnings or {}, False))
            for key, text in texts.items()
        ]
        run = _runner(body, group, specs, remembered)
        return dg.asset(
            name=name,
            group_name=group,
            description=inspect.getdoc(body),
            kinds=kinds,
            pool=pool,
            deps=after,
            op_tags={"dagster/priority": str(int(first)), **(GPU_TAG if gpu else {})},
            tags={"cost": "gpu" if gpu else "cpu", "trigger": "automatic" if automatic else "run"},
            owners=OWNERS,
            metadata=_where_written(body),
            automation_condition=WHEN_INPUTS_CHANGE if automatic else None,
            retry_policy=retries,
            check_specs=specs,
        )(run)

    return decorate


def _runner(
    body: Callable[..., Outcome], group: str, specs: Sequence[dg.AssetCheckSpec], remembered: str
) -> Callable[..., dg.MaterializeResult[Any]]:
    """What Dagster runs: the body with its timing, its record and its checks."""
    name = body.__name__
    parameters = inspect.signature(body).parameters

    def run(context: dg.AssetExecutionContext, data: DataFolder, **inputs: Any) -> dg.MaterializeResult[Any]:
        given = {"context": context, "data": data, **inputs}
        end_with_run()

        def make() -> Outcome:
            return body(**{key: value for key, value in given.items() if key in parameters})

        start, worked = time.monotonic(), _processor_seconds()
        with MemoryPeak() as memory:
            outcome = _once(data, name, remembered, inputs, make) if remembered else make()
        seconds, worked = time.monotonic() - start, _processor_seconds() - worked
        _record(data, group, name, seconds, worked, memory.gib, outcome.rows)
        return _result(outcome, specs, seconds)

    _adopt_signature(run, parameters)
    return run


def _once(data: DataFolder, name: str, version: str, inputs: Mapping[str, Any], make: Callable[[], Outcome]) -> Outcome:
    """The outcome that was made from the same version of a stage and the same inputs before, else a new one."""
    request = {"format": _FORMAT, "version": version, **{key: identity(value) for key, value in inputs.items()}}
    path = kept_at(data.path, name)
    if (known := recall(path, request)) is not None:
        checks = {key: Check(**told) for key, told in known["checks"].items()}
        return Outcome(known["value"], Rows(**known["rows"]), known["metadata"], checks)
    outcome = make()
    rest = {"rows": asdict(outcome.rows), "checks": {key: asdict(check) for key, check in outcome.checks.items()}}
    remember(path, request, outcome.value, outcome.metadata, rest)
    return outcome


def mapped(report: MapReport, entered: int, metadata: Mapping[str, Any] | None = None, **checks: Check) -> Outcome:
    """Outcome of a stage that is one `map_shards`: its counts are the rows, its reasons the metadata."""
    counts = report.counts
    dropped = {reason: count for reason, count in counts.items() if reason not in (KEPT, FAILED)}
    facts = {
        "shards_made": report.made,
        "shards_up_to_date": report.skipped,
        "shards_waiting": len(report.waiting),
        "shards_failed": len(report.failed),
        **({"reasons": reasons_table(dropped)} if dropped else {}),
        **({"waiting": dg.MetadataValue.json(dict(report.waiting))} if report.waiting else {}),
        **({"errors": dg.MetadataValue.json(dict(report.failed))} if report.failed else {}),
    }
    rows = Rows(entered, counts.get(KEPT, 0), sum(dropped.values()), counts.get(FAILED, 0))
    return Outcome(report.table, rows, {**facts, **(metadata or {})}, checks)


def reasons_table(counts: Mapping[str, int]) -> dg.MarkdownMetadataValue:
    """Counts per reason, most frequent first."""
    lines = [f"| {reason} | {count:,} |" for reason, count in sorted(counts.items(), key=lambda item: -item[1])]
    return dg.MetadataValue.md("\n".join(["| | rows |", "|---|--:|", *lines]))


def no_failed_shard(report: MapReport) -> Check:
    """The check that every incremental table carries: a failed shard is missing from all that follows."""
    return Check(not report.failed, f"{len(report.failed)} shards failed: {dict(report.failed)}")


def _where_written(body: Callable[..., Outcome]) -> dict[str, Any]:
    """The link from the UI to the body: Dagster's own would lead to `run`, the same for all."""
    with catch_warnings():  # it says of each reference that it is in beta
        simplefilter("ignore", dg.BetaWarning)
        place = dg.LocalFileCodeReference(file_path=body.__code__.co_filename, line_number=body.__code__.co_firstlineno)
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[place])}


def _adopt_signature(run: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]) -> None:
    """Show Dagster the body's inputs as `run`'s own, with the context and the data folder that every stage gets."""
    inputs = [parameter for name, parameter in parameters.items() if name not in ("context", "data")]
    own = list(inspect.signature(run).parameters.values())[:2]
    signature = inspect.Signature([*own, *inputs])
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}


def _processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _record(
    data: DataFolder, group: str, name: str, seconds: float, worked: float, peak_gib: float, rows: Rows
) -> None:
    record = {
        "name": name,
        "group": group,
        "seconds": round(seconds, 1),
        "processor_seconds": round(worked, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "peak_memory_gib": round(peak_gib, 2),
        "rows_in": rows.entered,
        "rows_kept": rows.kept,
        "rows_dropped": rows.dropped,
        "rows_failed": rows.failed,
    }
    write_json(data.path / "stages" / f"{name}.json", record)


def _result(outcome: Outcome, specs: Sequence[dg.AssetCheckSpec], seconds: float) -> dg.MaterializeResult[Any]:
    blocking = {spec.name: spec.blocking for spec in specs}
    if missing := set(blocking) ^ set(outcome.checks):
        raise ValueError(f"checks declared and reported differ in {sorted(missing)}")
    rows = outcome.rows
    facts = {"seconds": round(seconds, 1), "rows_in": rows.entered, "rows_kept": rows.kept}
    facts |= {"rows_dropped": rows.dropped, "rows_failed": rows.failed}
    return dg.MaterializeResult(
        value=outcome.value,
        metadata={**facts, **outcome.metadata},
        check_results=[
            dg.AssetCheckResult(
                check_name=name,
                passed=check.passed,
                description=check.description,
                metadata=dict(check.metadata),
                severity=dg.AssetCheckSeverity.ERROR if blocking[name] else dg.AssetCheckSeverity.WARN,
            )
            for name, check in outcome.checks.items()
        ],
    )
