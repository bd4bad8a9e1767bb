"""What an index says about itself, and the names of its files."""

from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from search.errors import IndexMissingError

FORMAT: Final = 1
"""Raise it when the files below change: an index of another format is refused and rebuilt."""

MANIFEST: Final = "manifest.json"
PRODUCTS: Final = "products.parquet"
THUMBNAILS: Final = "thumbnails.arrow"
PARTITIONS: Final = "partitions"


class IndexManifest(BaseModel):
    """Identity, size and measured quality of one built index."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["search_index"] = "search_index"
    format: Literal[1] = FORMAT
    version: str = Field(description="name of the version's folder: digest of everything it was made from")
    data_fingerprint: str = Field(description="of the embeddings table")
    encoder_version: str = Field(description="version in the encoder's manifest")
    dim: int = Field(gt=0, description="length of a vector")
    rows: int = Field(gt=0, description="products")
    counts: dict[str, int] = Field(description="products per category")
    recall_at_10: dict[str, float] = Field(description="per category, against an exact search in numpy")
    created_at: datetime = Field(description="UTC")


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
