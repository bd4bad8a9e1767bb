"""Environments: the settings of the graph, read from `FASHION_*`, and what differs between profiles.

Every variable is refused by name when its value is wrong, before any work starts; so is a name that is no setting.
`python -m pipelines settings` prints what holds.
"""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from fsspec import available_protocols
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from crawlers.sites import CATALOG_SITES, POST_SITES

PREFIX = "FASHION_"
OTHERS = {
    f"{PREFIX}REAL_DATA": "folder of real photos that benchmarks and tests read",
    "SEARCH_REVIEW_TOKEN": "opens the review page of the search service to whoever knows it",
    "DAGSTER_HOME": "folder of Dagster's runs, logs and schedules; the Makefile sets `.dagster`",
}
"""Variables that are read elsewhere, each by the one program that it is for."""
_ANNOTATED = ("modanet", "fashionpedia", "deepfashion2", "k_fashion", "street")
"""Sets with a maker: of a picture that several have, the first one's annotation is kept."""


class SettingsError(Exception):
    """Raised by `read_settings`: names each variable that is wrong, its rule and its value."""


class Settings(BaseModel):
    """What a user can set. Each field is the variable `FASHION_<NAME>`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: Literal["sandbox", "full"] = Field(
        "sandbox", description="sandbox: drawn world on this machine; full: the real sites"
    )
    data: Path = Field(Path("data"), description="folder for everything that runs produce")
    seed: int = Field(1, ge=0, le=2**31 - 1, description="seed of the drawn world and of training")
    posts: int = Field(1000, ge=40, le=10_000_000, description="posts in the drawn world")
    photos: Path | None = Field(
        None, description="folder of real shop photos to serve instead of the drawn world; sandbox only"
    )
    sandbox_port: int = Field(
        8600, ge=1024, le=65534, description="port of the sandbox's KREAM; OnTheLook is on the next one"
    )
    block_size: int = Field(
        100, ge=1, le=1_000_000, description="post ids per shard in the sandbox; the real sites use 10,000"
    )
    user_agent: str = Field(
        "", description="name given to the real sites, with an address at which somebody answers; default the crawler's"
    )
    crawl_delay: float = Field(
        1.0, gt=0, le=600, description="seconds between requests to one host of the real sites, at least"
    )
    modanet: Path | None = Field(None, description="ModaNet as published, or an annotations JSON; photos in `images/`")
    fashionpedia: Path | None = Field(
        None, description="Fashionpedia as published, or an annotations JSON and `images/`"
    )
    deepfashion2: Path | None = Field(
        None, description="folder of DeepFashion2: train/ and validation/, or one of them"
    )
    k_fashion: Path | None = Field(None, description="AI-Hub's K-Fashion: its JSON files and pictures, anywhere below")
    street: Path | None = Field(None, description="`boxes_coco.json` and `photos/` in the seven classes")
    milvus: str = Field(
        "", description="holds the index instead of `data/index`: http://user:password@host:19530, or a file milvus.db"
    )
    coco: Path | None = Field(None, description="COCO sets, each with a `source.json`: name, categories, licence")
    detector_classes: Literal["7", "12"] = Field(
        "7", description="12: belt, eyewear, glove, jumpsuit and watch too, which no pair is made of"
    )
    thumbnails: Path | None = Field(
        None, description="`labels.csv` and pictures from which the classifier learns besides the catalog"
    )
    commercial_only: bool = Field(
        False,
        description="leave out every annotation set except Fashionpedia and COCO sets said to be commercial, and all"
        " sites not in FASHION_CLEARED",
    )
    cleared: str = Field(
        "", description="sites whose terms you know to allow commercial use, such as `kream,onthelook`"
    )
    effort: float = Field(
        1.0, gt=0, le=100, description="share of the recipe's training steps: less to try the chain out"
    )
    retrain_pairs: int = Field(
        500, ge=1, le=10_000_000, description="weekly training runs once this many pairs are new to the encoder"
    )
    gates: Literal["on", "off"] = Field(
        "on", description="off: models pass whatever they reach, as for a few real photos"
    )
    webhook: str = Field("", description="http(s) address that the sensor failures tells of failed runs")
    concurrency: int = Field(2, ge=1, le=64, description="steps that run at once")
    tables: str = Field(
        "",
        description="where stages write tables: a URL or a folder shared by all Ray machines; default FASHION_DATA",
    )
    engine: Literal["local", "ray"] = Field("local", description="ray: shards are made side by side by a Ray cluster")
    ray_address: str = Field("local", description="auto, host:port, or local: a cluster on this machine for each step")
    ray_workers: int = Field(2, ge=1, le=10_000, description="actors of a step at most")
    ray_cpus: float = Field(1, gt=0, le=1024, description="CPU cores (and threads) per actor")
    ray_gpus: float = Field(0, ge=0, le=16, description="GPUs of each where a step computes on one; 0.5: two share one")

    @field_validator("webhook")
    @classmethod
    def _check_webhook(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and not (parts.scheme in ("http", "https") and parts.hostname):
            raise ValueError("must be an http or https address")
        return value

    @field_validator("cleared")
    @classmethod
    def _check_cleared(cls, value: str) -> str:
        known = {*POST_SITES, *CATALOG_SITES}
        if unknown := {site.strip() for site in value.split(",") if site.strip()} - known:
            raise ValueError(f"must be sites among {', '.join(sorted(known))}, not {', '.join(sorted(unknown))}")
        return value

    @field_validator("tables")
    @classmethod
    def _check_tables(cls, value: str) -> str:
        protocol, url, _ = value.partition("://")
        if url and protocol not in available_protocols():
            raise ValueError(f"fsspec knows no storage {protocol!r}")
        return value

    @property
    def annotated(self) -> dict[str, Path]:
        """Folders of annotated pictures by their maker's name."""
        folders = {name: getattr(self, name) for name in _ANNOTATED}
        return {name: folder.resolve() for name, folder in folders.items() if folder is not None}

    @property
    def tables_at(self) -> str:
        """URL or absolute path of the tables; empty is the data folder."""
        return self.tables if "://" in self.tables or not self.tables else str(Path(self.tables).resolve())

    @property
    def cleared_sites(self) -> list[str]:
        """The sites in `cleared`."""
        return [site.strip() for site in self.cleared.split(",") if site.strip()]

    @property
    def world(self) -> str:
        """Name of what is crawled: what a data folder belongs to."""
        if self.profile == "full":
            return "the real sites"
        return (
            f"sandbox photos {self.photos.resolve()}"
            if self.photos
            else f"sandbox seed {self.seed}, {self.posts} posts"
        )


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `FASHION_*` variables; unset and empty ones take the default.

    Raises:
        SettingsError: a value breaks its rule or contradicts another, a folder is not there, or a variable is unknown.
    """
    values = {
        name[len(PREFIX) :].lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and value and name not in OTHERS
    }
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(_problem(item) for item in error.errors())) from None
    if "://" in values.get("data", ""):
        raise SettingsError(
            f"{PREFIX}DATA: must be a folder of this machine, got {masked('data', values['data'])!r}"
            f" (only {PREFIX}TABLES may be a URL)"
        )
    if settings.data.is_file():
        raise SettingsError(f"{PREFIX}DATA: must be a folder, and {settings.data} is a file")
    if "@" in settings.tables:
        raise SettingsError(f"{PREFIX}TABLES: credentials belong into the object store's own variables, not into a URL")
    for name in ("photos", *_ANNOTATED, "coco", "thumbnails"):
        folder = getattr(settings, name)
        if folder is not None and not folder.is_dir():
            raise SettingsError(f"{variable(name)}: there is no folder {folder}")
    if settings.photos and settings.profile == "full":
        raise SettingsError(
            f"{PREFIX}PHOTOS: is served by the sandbox only, and {PREFIX}PROFILE is full, which crawls the real sites"
        )
    return settings


def variable(field: str) -> str:
    """Name of the environment variable of a field of `Settings`."""
    return PREFIX + field.upper()


def masked(field: str, value: object) -> str:
    """A value as it may be shown: without passwords in addresses, and not at all where the field is a secret."""
    if value and re.search(r"(^|_)(key|password|secret|token|webhook)$", field):
        return "***"
    return re.sub(r"://[^/@\s]*@", "://***@", str(value))


def _problem(item: Any) -> str:
    field = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field, Settings.model_fields, n=1)
        return f"{variable(field)}: there is no such setting" + (f"; did you mean {variable(near[0])}?" if near else "")
    return f"{variable(field)}: {item['msg'].removeprefix('Value error, ')}, got {masked(field, item['input'])!r}"
