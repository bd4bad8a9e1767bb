"""Resource classes that assets annotate. Which instance they get is decided in `pipelines.definitions`."""

import json
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.once import listing, once
from assets.sandbox_server import SandboxAddress, SandboxError, ensure_serving
from assets.world import claim
from curation.engine import MapReport, Workers, here, map_shards
from curation.places import keep_tables_at, place, send
from curation.ray_engine import THIS_MACHINE, RayWorkers
from curation.sources import Source
from curation.tables import ShardedTable, mirror
from curation.verification import LEAST

if TYPE_CHECKING:
    from search.protocols import IndexStore

_SANDBOX_PACE = ("--allow-private", "--delay", "0", "--frontier-window", "30", "--scroll-wait", "0.4")
"""Our own machine needs no patience, and its posts leave no wide gaps."""
_NO_ANNOTATIONS = (
    "no annotated set: the detector has nothing to learn from; download ModaNet or Fashionpedia and set FASHION_MODANET"
    " or FASHION_FASHIONPEDIA to its folder"
)


class DataFolder(dg.ConfigurableResource[Any]):
    """Where everything lies. One place for each thing."""

    root: str
    tables: str = ""  # URL or folder of the tables that stages make; empty is the data folder itself

    @property
    def path(self) -> Path:
        """The folder itself."""
        return Path(self.root)

    def table(self, name: str, prefix: str = "") -> ShardedTable:
        """A table by its folder, e.g. `crawl/posts` with prefix `kream`."""
        return ShardedTable(place(self.tables or self.root) / name, prefix)

    def crawled(self, name: str, prefix: str = "") -> ShardedTable:
        """A table that a crawl wrote, always in the data folder."""
        return ShardedTable(self.path / "crawl" / name, prefix)

    def posts(self) -> ShardedTable:
        """The posts of every site in the folder, whether or not an asset crawled them."""
        return self.table("crawl/posts")

    def claim(self, world: str) -> None:
        """Reserve the folder and the place of its tables for a world. Raises `assets.world.WorldError`."""
        claim(self.path, world)
        if self.tables:  # `publish` removes there what is not in this folder
            claim(place(self.tables), world, "FASHION_TABLES")

    def publish(self, name: str, prefix: str = "") -> ShardedTable:
        """A crawled table where the stages that follow find it: what is new of it is sent there."""
        keep_tables_at(self.path, self.tables)
        table = self.table(f"crawl/{name}", prefix)
        return mirror(self.crawled(name, prefix), table.root) if self.tables else table

    def share(self, version: Path) -> None:
        """Send a dataset version to where the tables are, if that is a URL, for trainings on other machines."""
        at = place(self.tables)
        if not isinstance(at, Path):
            send(version, at / version.relative_to(self.path).as_posix())


class ProductIndexes(dg.ConfigurableResource[Any]):
    """Where the index is kept."""

    milvus: str = ""  # address; empty is a folder of the data

    def store(self, data: DataFolder) -> "IndexStore":
        """The store of `data/index`, or the one on Milvus."""
        from search.index.stores import open_store

        return open_store(data.path / "index", self.milvus)


class Engine(dg.ConfigurableResource[Any]):
    """Maps shards to shards: on this machine one after the other, or on a Ray cluster."""

    on_ray: bool = False
    address: str = THIS_MACHINE
    workers: int = 2
    cpus: float = 1
    gpus: float = 0

    @property
    def pool(self) -> Workers:
        """Who makes the shards."""
        return RayWorkers(self.address, self.workers, self.cpus, self.gpus) if self.on_ray else here

    def map(
        self,
        context: dg.AssetExecutionContext,
        step: str,
        inputs: Sequence[ShardedTable],
        output: ShardedTable,
        **arguments: Any,
    ) -> MapReport:
        """`curation.engine.map_shards`, with one log line per shard in the run."""
        return map_shards(step, inputs, output.root, context.log.info, self.pool, **arguments)


class Sites(dg.ConfigurableResource[Any]):
    """The web sites to crawl. `name` is what a data folder belongs to."""

    name: str

    @abstractmethod
    def crawler_options(self, site: str) -> AbstractContextManager[list[str]]:
        """Context manager: options of `python -m crawlers` that point it at `site` while the context is open."""


class RealSites(Sites):
    """The sites themselves."""

    user_agent: str = ""  # says who crawls; empty is the crawler's own, without a contact
    delay: float = 1.0  # seconds between requests to one host, at least

    @contextmanager
    def crawler_options(self, site: str) -> Iterator[list[str]]:
        """Who crawls, and how fast; the rest of the defaults are the real sites."""
        del site
        yield [*(["--user-agent", self.user_agent] if self.user_agent else []), "--delay", str(self.delay)]


class SandboxSites(Sites):
    """The drawn world, or a folder of photos, served on 127.0.0.1."""

    seed: int
    posts: int
    photos: str = ""
    port: int
    block_size: int

    @property
    def world(self) -> list[str]:
        """Options of `python -m sandbox` that name this world."""
        return SandboxAddress(self.seed, self.posts, self.photos, self.port).world

    @contextmanager
    def crawler_options(self, site: str) -> Iterator[list[str]]:
        """Start the sandbox unless it is serving this world already; it ends by itself when nobody asks any more."""
        address = SandboxAddress(self.seed, self.posts, self.photos, self.port)
        try:
            base = ensure_serving(address)[site]
        except SandboxError as error:  # a port that is taken stays so
            raise dg.Failure(str(error), allow_retries=False) from error
        yield ["--base-url", base, "--block-size", str(self.block_size), *_SANDBOX_PACE]


class DetectionSources(dg.ConfigurableResource[Any]):
    """Where annotated street photos come from.

    With no folder at all, the sandbox draws `drawn` pictures in the formats of ModaNet and Fashionpedia; 0 draws none.
    """

    folders: dict[str, str]  # name in `models.detector.sources.MAKERS` → folder
    coco: str = ""  # a folder with COCO sets, each described by its source.json
    classes: int = 7  # or 12
    drawn: int = 0
    seed: int = 0
    workers: int = 1  # processes that draw
    commercial_only: bool = False

    def build(self, out: Path) -> dict[str, Any]:
        """Write the dataset to `out` and return its summary.

        Raises:
            models.errors.DataError: a folder does not hold what its name says.
            dagster.Failure: there is no folder, and nothing is drawn instead.
        """
        from models.detector.categories import CLASSES
        from models.detector.dataset import DATASET_FILE, VERSION, build_detection_dataset
        from models.detector.sources import configured, source

        folders = {name: Path(folder) for name, folder in self.folders.items()}
        if not folders and not self.coco:
            if not self.drawn:
                raise dg.Failure(_NO_ANNOTATIONS, allow_retries=False)
            drawn = out.with_name("drawn_annotations")
            self._draw(drawn)
            folders = {name: drawn / name for name in ("modanet", "fashionpedia")}
        coco = [Path(self.coco)] if self.coco else []

        def build() -> None:
            sources = [source(name, folder) for name, folder in folders.items()]
            sources += [one for folder in coco for one in configured(folder)]
            allowed = not self.commercial_only
            build_detection_dataset(sources, out, allow_non_commercial=allowed, classes=CLASSES[: self.classes])

        listed = {str(folder): listing(folder) for folder in [*folders.values(), *coco]}
        once(out, [VERSION, self.commercial_only, self.classes, listed], build)
        return dict(json.loads((out / DATASET_FILE).read_text()))

    def _draw(self, out: Path) -> None:
        options = ["--seed", str(self.seed), "--images", str(self.drawn), "--out", str(out)]
        command = [sys.executable, "-m", "sandbox", "annotations", *options, "--workers", str(self.workers)]
        once(out, options, lambda: subprocess.run(command, check=True))


class Terms(dg.ConfigurableResource[Any]):
    """Under which terms the pictures of the sites are used: what the dataset card says, and what may be left out."""

    licences: dict[str, str]  # site → terms
    cleared: list[str]  # sites whose terms allow commercial use
    commercial_only: bool

    @property
    def sources(self) -> dict[str, Source]:
        """Every known site with its terms."""
        return {site: Source(text, site in self.cleared) for site, text in self.licences.items()}


class Recipes(dg.ConfigurableResource[Any]):
    """Which configuration each model is trained with, and what it must reach to pass its gate."""

    profile: str  # a preset of `models.presets`
    seed: int
    floors: dict[str, float]  # kind → smallest value of its selection metric
    thumbnails: str = ""  # folder with labels.csv from which the classifier learns besides the shop's own catalog
    least_pairs: int = 50  # of a category that gets an encoder of its own
    side_by_side: int = 1  # trainings of one stage at once; on a GPU one fills it
    least_verification: float = LEAST  # of a pair that is kept
    least_probability: float | None = None  # of a thumbnail's category; by default the classifier's own threshold
    gated: bool = True  # False: what a stage trains passes, whatever its gate or baselines say
    margin: float = 0.05  # of R@1, F1, accuracy: a new model that may be worse by more does not replace the one in use
    least_new_pairs: int = 500  # for which a weekly training is worth its hours
    keep_versions: int = 5  # of each model, besides the one in use; the job `upkeep` has a number of its own
    effort: float = 1.0  # share of the preset's optimiser steps: less to try the chain out, more for patience

    def config(self, kind: str, **changes: Any) -> dict[str, Any]:
        """Values of a trainer's configuration."""
        from models.presets import preset

        config = preset(kind, self.profile, seed=self.seed, **changes)
        config["steps"] = max(1, round(self.effort * config["steps"]))
        if config.get("pretrained"):
            config.pop("architecture", None)
        return config

    def floor(self, kind: str) -> float:
        """Smallest metric with which a model may be used."""
        return self.floors.get(kind, 0.0)
