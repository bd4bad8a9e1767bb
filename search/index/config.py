"""How an index is laid out. The defaults come from `benchmarks/search.py`; see `docs/EXPERIMENTS.md`, 2026-11-24."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

PROMISED_RECALL: Final = 0.99
"""An index that finds less of the exact top ten is refused."""


class IndexConfig(BaseModel):
    """Thresholds of the embedded index. Milvus needs none of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exact_limit: int = Field(
        10_000, ge=1, description="products up to which a category, or what a filter leaves of it, is searched exactly"
    )
    codes: Literal["int8", "float32"] = Field(
        "int8", description="what inverted lists hold; int8 is scanned, then the best are scored again in float32"
    )
    rerank: int = Field(30, ge=0, le=1000, description="products scored again beyond those asked for (int8)")
    promised_recall: float = Field(PROMISED_RECALL, ge=0, le=1, description="recall@10 below which a build is refused")
    merge_share: float = Field(
        0.1, gt=0, le=1, description="share of added and dead rows from which an update rewrites the whole index"
    )
    merge_segments: int = Field(8, ge=1, description="segments from which an update rewrites the whole index")
