"""Look-ups in crawl tables."""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from curation.tables import ShardedTable


def pictures_by_sha(table: ShardedTable, wanted: Collection[str]) -> dict[str, bytes]:
    """The bytes of some pictures of a POSTS or CATALOG table, by their sha256; those it lacks are left out."""
    found: dict[str, bytes] = {}
    keys = pa.array(sorted(wanted), pa.string())
    for batch in table.batches(["sha256", "bytes"]):
        if len(found) == len(keys):
            break
        rows = batch.filter(pc.is_in(batch["sha256"], keys))
        found |= dict(zip(rows["sha256"].to_pylist(), rows["bytes"].to_pylist(), strict=True))
    return found
