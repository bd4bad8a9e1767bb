"""The check that what is new is like what was there: see `curation.shift`."""

from typing import Final

import dagster as dg
import pyarrow as pa
from pydantic import Field

from assets.resources import DataFolder
from assets.stage import Check, reasons_table
from curation.shift import judge
from curation.tables import ShardedTable

NO_SHIFT: Final = {"no_shift": "New rows have the same category mix as earlier ones, and no category has collapsed."}
_NOT_KEPT: Final = "not kept"


class Mix(dg.Config):
    """What to do when the mix of categories is not as before."""

    accept_shift: bool = Field(False, description="accept this run's category mix as the new baseline")


def no_shift(data: DataFolder, table: ShardedTable, config: Mix, *, count_dropped: bool) -> dict[str, Check]:
    """The check of a table of rows with `category` and `kept`.

    Args:
        data: remembers in `shift/<table>.json` what was accepted.
        table: what the stage made.
        config: of the run.
        count_dropped: rows that are not kept count as a category of their own, so that their share is judged as well.
    """

    def label(rows: pa.Table) -> list[str]:
        pairs = zip(rows["category"].to_pylist(), rows["kept"].to_pylist(), strict=True)
        return [category if kept else _NOT_KEPT for category, kept in pairs if kept or count_dropped]

    record = data.path / "shift" / f"{table.root.name}.json"
    shift = judge(table, record, ["category", "kept"], label, accept=config.accept_shift)
    if not shift.rows:
        text = "nothing new"
    elif not shift.judged:
        text = f"{shift.rows} new rows beside {sum(shift.before.values())}: too few to tell"
    else:
        text = shift.problem or f"{shift.rows} new rows, population stability index {shift.psi:.2f}"
    passed = shift.problem is None or config.accept_shift
    if not passed:
        text += "; look at them, and run again with accept_shift where they are right"
    return {"no_shift": Check(passed, text, {"before": reasons_table(shift.before), "new": reasons_table(shift.now)})}
