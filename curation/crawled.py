"""Look-ups in crawl tables."""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from curation.tables import ShardedTable


def pictures_by_sha(table: ShardedTable, wanted: Collection[str]) -> dict[str, bytes]:
    """The bytes of some pictures of a POSTS or CATALOG table, by their sha256; those it lacks are left out.

    The pictures of other row groups are not read.
    """
    missing, found = set(wanted), dict[str, bytes]()
    for shard in table.shards:
        with shard.open() as file:
            for group in range(file.num_row_groups if missing else 0):
                here = pc.is_in(
                    file.read_row_group(group, ["sha256"])["sha256"], pa.array(sorted(missing), pa.string())
                )
                if pc.any(here).as_py():
                    rows = file.read_row_group(group, ["sha256", "bytes"]).filter(here)
                    found |= dict(zip(rows["sha256"].to_pylist(), rows["bytes"].to_pylist(), strict=True))
                    missing -= found.keys()
    return found
