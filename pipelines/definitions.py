"""The code location: every asset, with the resources that this environment gives them."""

import dagster as dg

from assets import crawl, dedup, label, pairs, report, search, train
from assets.io_manager import ReferenceIOManager
from assets.resources import (
    DataFolder,
    DetectionSources,
    Engine,
    ProductIndexes,
    RealSites,
    Recipes,
    SandboxSites,
    Terms,
)
from assets.stage import GPU_TAG
from curation.verification import LEAST
from models.presets import Profile
from pipelines.environments import Settings, read_settings
from pipelines.executor import processes
from pipelines.jobs import JOBS
from pipelines.schedules import SCHEDULES
from pipelines.sensors import sensors

_SANDBOX_DETECTION_IMAGES = 1400
_ANNOTATION_SEED_SHIFT = 1_000_003
"""The detector must not learn on the people and products of the world that it is measured on."""
_SITES = ["kream", "onthelook"]
_FLOORS = {"detector": 0.3, "classifier": 0.9, "encoder": 0.3, "verifier": 0.1}
"""A model below its floor is broken, not weak: nothing that follows would mean anything."""
_MARGINS = {"sandbox": 0.05, "full": 0.01}
"""About what the test crops can tell apart: hundreds in the sandbox, tens of thousands at full size."""


def build(settings: Settings) -> dg.Definitions:
    """One builder for all environments; they differ in arguments only."""
    sandbox = settings.profile == "sandbox"
    modules = [crawl, dedup, label, pairs, train, search, *([report] if sandbox else [])]
    return dg.Definitions(
        assets=dg.load_assets_from_modules(modules),
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=sensors(settings.webhook),
        executor=_executor(settings),
        resources=_resources(settings),
    )


def _resources(settings: Settings) -> dict[str, object]:
    sandbox = settings.profile == "sandbox"
    data = DataFolder(root=str(settings.data.resolve()), tables=settings.tables_at)
    photos = str(settings.photos.resolve()) if settings.photos else ""
    drawn = SandboxSites(
        name=settings.world,
        seed=settings.seed,
        posts=settings.posts,
        photos=photos,
        port=settings.sandbox_port,
        block_size=settings.block_size,
    )
    return {
        "data": data,
        "engine": Engine(
            on_ray=settings.engine == "ray",
            address=settings.ray_address,
            workers=settings.ray_workers,
            cpus=settings.ray_cpus,
            gpus=settings.ray_gpus,
        ),
        "indexes": ProductIndexes(milvus=settings.milvus),
        "sites": drawn
        if sandbox
        else RealSites(name=settings.world, user_agent=settings.user_agent, delay=settings.crawl_delay),
        "sources": DetectionSources(
            folders={name.replace("_", "-"): str(folder) for name, folder in settings.annotated.items()},
            coco=_path(settings.coco),
            classes=int(settings.detector_classes),
            drawn=_SANDBOX_DETECTION_IMAGES if sandbox else 0,
            seed=settings.seed + _ANNOTATION_SEED_SHIFT,
            workers=settings.concurrency,
            commercial_only=settings.commercial_only,
        ),
        "terms": _terms(settings),
        "recipes": Recipes(
            profile=_profile(settings),
            seed=settings.seed,
            effort=settings.effort,
            least_new_pairs=settings.retrain_pairs,
            side_by_side=settings.concurrency if sandbox else 1,
            floors=_FLOORS if settings.gates == "on" else {},
            # a detector that learned from a few real photos is sure of nothing
            least_verification=LEAST if settings.gates == "on" else 0.0,
            # a classifier that learned from a few real thumbnails keeps no stated precision
            least_probability=None if settings.gates == "on" else 0.5,
            gated=settings.gates == "on",
            margin=_MARGINS[settings.profile],
            thumbnails=_path(settings.thumbnails),
        ),
        "children": dg.PipesSubprocessClient(),
        "io_manager": ReferenceIOManager(data=data),
    }


def _profile(settings: Settings) -> Profile:
    if settings.profile == "full":
        return "full"
    return "tiny-photos" if settings.photos or settings.annotated or settings.coco else "tiny"


def _terms(settings: Settings) -> Terms:
    if settings.profile == "full":
        text, cleared = "photos belong to those who posted them; the site's own terms hold", settings.cleared_sites
    elif settings.photos:
        text, cleared = f"those of the pictures in {settings.photos.name}", settings.cleared_sites
    else:
        text, cleared = "drawn by this project (MIT)", _SITES
    return Terms(licences=dict.fromkeys(_SITES, text), cleared=cleared, commercial_only=settings.commercial_only)


def _executor(settings: Settings) -> dg.ExecutorDefinition:
    """Steps as processes; forked from a server that has the code location loaded, which never loads torch."""
    return processes.configured(
        {
            "max_concurrent": settings.concurrency,
            # one training at a time on a GPU; on processors two small ones fill what one leaves idle
            "tag_concurrency_limits": [{"key": key, "value": value, "limit": 1} for key, value in GPU_TAG.items()]
            if settings.profile == "full"
            else [],
            "start_method": {"forkserver": {"preload_modules": ["pipelines.definitions"]}},
        },
        name="processes",
    )


def _path(folder: object) -> str:
    return str(folder) if folder else ""


defs = build(read_settings())
