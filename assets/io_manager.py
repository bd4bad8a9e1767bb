"""The IO manager: hands references from asset to asset and tells the UI what they refer to. It never moves data."""

import json
from pathlib import Path
from typing import Any, Final

import dagster as dg

from assets.resources import DataFolder
from curation.places import Place, place
from curation.tables import ShardedTable, write_json
from curation.versions import Versions

_PREVIEW_ROWS: Final = 5
_HIDDEN = ("bytes", "anchor", "positive", "anchor_bytes", "positive_bytes", "thumbnail", "vector", "colour")


class ReferenceIOManager(dg.ConfigurableIOManager):
    """Stores where a table or an artifact directory lies; adds row counts, sizes, columns and a preview.

    A `ShardedTable` is handed on as such; a directory (model, index, dataset) as its `Path`.
    """

    data: DataFolder

    def handle_output(self, context: dg.OutputContext, obj: ShardedTable | Path) -> None:
        """Write the reference. Raises `TypeError` for anything but a table or a directory."""
        if isinstance(obj, ShardedTable):
            at = _noted(self.data.path, obj.root)
            reference = {"table": at, "prefix": obj.prefix, "fingerprint": obj.fingerprint}
            context.add_output_metadata(_table_metadata(obj))
        elif isinstance(obj, Path):
            reference = {"directory": _noted(self.data.path, obj)}
            context.add_output_metadata({"path": dg.MetadataValue.path(obj), "size_mib": round(_size_mib(obj), 2)})
        else:
            raise TypeError(
                f"{context.asset_key.to_user_string()}: a ShardedTable or a Path is wanted, not {type(obj)}"
            )
        write_json(reference_of(self.data.path, context.asset_key), reference)

    def load_input(self, context: dg.InputContext) -> ShardedTable | Path:
        """Read the reference. Of something that has versions, it leads to the one in use, whoever switched to it.

        Raises:
            dagster.Failure: the asset was never made in this data folder. Another try would not help.
        """
        path = reference_of(self.data.path, context.asset_key)
        if not path.is_file():
            key = context.asset_key.to_user_string()
            raise dg.Failure(
                f"{key} was never made in {self.data.root}: materialize it first, or select this asset and"
                f' +key:"{key}", which is that one with everything upstream',
                allow_retries=False,
            )
        reference = json.loads(path.read_text())
        if "table" in reference:
            at = place(reference["table"])
            return ShardedTable(self.data.path / at if isinstance(at, Path) else at, reference["prefix"])
        directory = self.data.path / reference["directory"]
        versions = Versions.around(directory)
        return (versions.current if versions else None) or directory


def adopt(data: Path, asset: str, directory: Path) -> None:
    """Let an asset of a data folder be a directory that was made elsewhere, such as a trained model."""
    write_json(reference_of(data, dg.AssetKey(asset)), {"directory": _noted(data, directory)})


def _noted(data: Path, at: Place) -> str:
    """A place as a reference has it: below the data folder without that folder, which may be moved."""
    return str(at.relative_to(data)) if isinstance(at, Path) and at.is_relative_to(data) else str(at)


def reference_of(data: Path, key: dg.AssetKey) -> Path:
    """The file that says where an asset of a data folder lies; not there before it is made."""
    return data / "references" / f"{'/'.join(key.path)}.json"


def _table_metadata(table: ShardedTable) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "dagster/row_count": table.rows,
        "path": dg.MetadataValue.path(str(table.root / table.prefix)),
        "shards": len(table.shards),
        "size_mib": round(table.size / 2**20, 2),
        "fingerprint": table.fingerprint,
    }
    if table.shards:
        metadata["dagster/column_schema"] = _column_schema(table)
        metadata["preview"] = _preview(table)
    return metadata


def _column_schema(table: ShardedTable) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                field.name,
                str(field.type),
                description=(field.metadata or {}).get(b"comment", b"").decode(),
                constraints=dg.TableColumnConstraints(nullable=field.nullable),
            )
            for field in table.shards[0].schema
        ]
    )


def _preview(table: ShardedTable) -> dg.MarkdownMetadataValue:
    shard = table.shards[0]
    names = [field.name for field in shard.schema if field.name not in _HIDDEN]
    rows = shard.table(names).slice(0, _PREVIEW_ROWS).to_pylist()
    lines = ["| " + " | ".join(_cell(value) for value in row.values()) + " |" for row in rows]
    return dg.MetadataValue.md("\n".join([f"| {' | '.join(names)} |", "|---" * len(names) + "|", *lines]))


def _cell(value: Any) -> str:
    """Text for a markdown table. Crawled text is data: it must not become markup."""
    text = str(value) if not isinstance(value, float) else f"{value:.3f}"
    if len(text) > 60:
        text = text[:57] + "…"
    return "".join(f"\\{sign}" if sign in "\\`*_[]()<>|!#" else sign for sign in text.replace("\n", " "))


def _size_mib(path: Path) -> float:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 2**20
