"""What an index says about itself, and the names of its files."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation.tables import fingerprint
from search.errors import IndexMissingError
from search.index.config import IndexConfig

FORMAT: Final = 2
"""Raise it when the files change: an index of another format is refused and rebuilt."""

MANIFEST: Final = "manifest.json"
DEAD: Final = "dead.npy"
"""Rows of a version's segments that were replaced or deleted: int64, counted through the segments in their order."""


RECALLS: Final = ("recall_at_10", "recall_elsewhere_at_10", "recall_filtered_at_10")
"""Fields below that tell how much of the exact nearest ten is found."""


class IndexManifest(BaseModel):
    """Identity, size and measured quality of one version of an index."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["search_index"] = "search_index"
    format: Literal[2] = FORMAT
    version: str = Field(description="its name: digest of everything it was made from")
    data_fingerprint: str = Field(description="of the catalog: of the embeddings table, and of what came after it")
    encoder_version: str = Field(description="in the encoder's manifest: digest of weights and preprocessing")
    preprocessing: dict[str, Any] = Field(default={}, description="of the encoder: how a picture becomes its input")
    dim: int = Field(default=0, ge=0, description="length of a vector")
    rows: int = Field(default=0, ge=0, description="products")
    counts: dict[str, int] = Field(default={}, description="products per category; categories without any are left out")
    config: IndexConfig = Field(default=IndexConfig(), description="thresholds it was built and measured with")
    segments: list[str] = Field(default=[], description="what holds the rows: folders, or a Milvus collection")
    state: int = Field(
        default=0, ge=0, description="of the Milvus collection: which of its rows belong to this version"
    )
    probes: int = Field(default=0, ge=0, description="inverted lists that Milvus looks into")
    made_by: Literal["build", "upsert", "delete", "merge"] = "build"
    recall_at_10: dict[str, float] = Field(
        default={}, description="per category, its own products as queries, against numpy"
    )
    recall_elsewhere_at_10: dict[str, float] = Field(
        default={}, description="the same with products of other categories"
    )
    recall_filtered_at_10: dict[str, float] = Field(
        default={}, description="the lowest with filters that pass 50, 5 and 0.5 %"
    )
    created_at: datetime = Field(description="UTC")

    def followed(self, what: Literal["upsert", "delete"], cause: object) -> "IndexManifest":
        """A draft of the version that a change makes of this one: its name depends on what went before."""
        return self.model_copy(
            update={
                "version": fingerprint([self.version, what, cause]),
                "data_fingerprint": fingerprint([self.data_fingerprint, what, cause]),
                "made_by": what,
                "created_at": datetime.now(UTC),
            }
        )

    @property
    def lowest_recall(self) -> float:
        """The worst recall@10 of any category and kind of query, 0-1."""
        return min((value for values in self.recalls.values() for value in values.values()), default=1.0)

    @property
    def recalls(self) -> dict[str, dict[str, float]]:
        """Every recall@10 that was measured: kind of query → category → 0-1."""
        return {kind: getattr(self, kind) for kind in RECALLS}


def read_manifest(folder: Path) -> IndexManifest:
    """Read a version's manifest. Raises `IndexMissingError` when there is none or it is of another format."""
    path = folder / MANIFEST
    try:
        return IndexManifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise IndexMissingError(f"{folder.name}: no {MANIFEST}") from error
    except ValidationError as error:
        raise IndexMissingError(
            f"{folder.name}/{MANIFEST} is not an index manifest of format {FORMAT}: {error}"
        ) from error
