"""How an index is laid out. The defaults come from `benchmarks/search.py`; see `docs/EXPERIMENTS.md`, 2026-11-24."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

PROMISED_RECALL: Final = 0.99
"""An index that finds less of the exact top ten is refused."""


class IndexConfig(BaseModel):
    """Thresholds of the embedded index. Milvus needs none of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exact_limit: int = Field(
        default=10_000,
        ge=1,
        description="products of a category, or of what a filter leaves of it, up to which they are searched exactly",
    )
    int8_from: int = Field(
        default=0,
        ge=0,
        description="products of a category from which its lists hold int8 codes, of which the best are scored again; "
        "below, they hold the vectors",
    )
    rerank: int = Field(default=30, ge=0, le=1000, description="products scored again beyond those asked for")
    promised_recall: float = Field(
        default=PROMISED_RECALL, ge=0, le=1, description="recall@10 below which a build is refused"
    )
    merge_share: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="share of added and dead rows from which an update rewrites the whole index",
    )
    merge_segments: int = Field(default=8, ge=1, description="segments from which an update rewrites the whole index")
