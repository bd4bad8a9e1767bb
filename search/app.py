"""The HTTP service: routes of the API and of the page."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Response, UploadFile
from fastapi.responses import PlainTextResponse, RedirectResponse
from starlette.formparsers import MultiPartParser

from search.answers import (
    AnswerOut,
    CatalogOut,
    ExamplesOut,
    SimilarOut,
    answer_out,
    similar_out,
)
from search.errors import DrainingError, NotFoundError
from search.fields import (
    BoxField,
    CategoryField,
    FormFilters,
    Photo,
    QueryFilters,
    TopField,
    TopQuery,
    Version,
    check_names,
    errors,
    parse_box,
)
from search.guard import MAX_BODY, Guard, install_handlers, unless_gone
from search.metrics import Metrics
from search.query import SearchService
from search.review import ReviewQueue, add_review
from search.server import Draining
from search.sharing import CROSS_ORIGIN, Sharing
from search.worker import Worker

MAX_EXAMPLES: Final = 8
_MEDIA: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_FOR_A_DAY: Final = {"cache-control": "public, max-age=86400, immutable"}  # by then a picture taken down is gone
_JPEG: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"image/jpeg": {}}}}
_UPLOADS: Final = errors(400, 408, 413, 422, 429, 503, 504)


def create_app(
    service: SearchService,
    examples: Path | None = None,
    worker: Worker | None = None,
    review: tuple[ReviewQueue, str] | None = None,
    *,
    root_path: str = "",
    draining: Draining | None = None,
    origins: Sequence[str] = (),
) -> FastAPI:
    """Build the service.

    Args:
        service: models and index, loaded.
        examples: folder of `*.jpg` that the page offers to try.
        worker: the threads in which photos are decoded and the models run.
        review: pairs to review, and the token that reviewers need; none without.
        root_path: prefix under which a proxy shows the service, as `/find`. The proxy may strip it or leave it.
        draining: says when the service is about to end.
        origins: of other sites, as `https://shop.example`, whose pages may search.

    Raises:
        TokenError: the token can be guessed, or never be sent.
    """
    # Uploads stay in memory: the parser would spool anything over a megabyte to a temporary file.
    MultiPartParser.spool_max_size = MAX_BODY
    metrics, worker = Metrics(), worker or Worker(service.answer_many)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        worker.close()

    app = FastAPI(
        title="Fashion search",
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        dependencies=[Depends(check_names)],
    )
    app.add_middleware(Guard, metrics=metrics, root_path=root_path)
    if origins:
        app.add_middleware(Sharing, origins=origins, root_path=root_path)  # around refusals, too
    install_handlers(app)
    _add_queries(app, worker, metrics, root_path)
    _add_products(app, service, root_path, _FOR_A_DAY | CROSS_ORIGIN if origins else _FOR_A_DAY)
    _add_examples(app, examples, root_path)
    _add_health(app, service, worker, metrics, draining or Draining())
    if review:
        add_review(app, *review)
    _add_page(app, hidden=() if review else ("review.html",))
    return app


def _add_queries(app: FastAPI, worker: Worker, metrics: Metrics, root_path: str) -> None:
    async def run(request: Request, photo: UploadFile, **rules: Any) -> AnswerOut:
        answer = await unless_gone(request, worker.answer(await photo.read(), **rules))
        for step, seconds in answer.seconds.items():
            metrics.add("step_seconds_total", seconds, step=step)
        return answer_out(answer, root_path)

    @app.post("/api/detect", responses=_UPLOADS)
    async def detect(request: Request, photo: Photo) -> AnswerOut:
        """Find the garments on a photo."""
        return await run(request, photo, top=0)

    @app.post("/api/search", responses=_UPLOADS)
    async def search(
        request: Request,
        photo: Photo,
        filters: FormFilters,
        box: BoxField = None,
        category: CategoryField = None,
        top: TopField = 12,
    ) -> AnswerOut:
        """Find the products most like each garment on a photo, or most like what one box shows."""
        return await run(request, photo, box=parse_box(box), category=category or None, top=top, filters=filters)


def _add_products(app: FastAPI, service: SearchService, root_path: str, headers: dict[str, str]) -> None:
    @app.get("/api/catalog", responses=errors(422, 503))
    def catalog() -> CatalogOut:
        """Say what can be searched."""
        made = service.index.manifest
        return CatalogOut(
            products=made.rows, categories=made.counts, index_version=made.version, encoder_version=made.encoder_version
        )

    @app.get("/api/products/{id:path}/similar", responses=errors(404, 422, 503))
    def similar(id: str, filters: QueryFilters, top: TopQuery = 12) -> SimilarOut:  # noqa: A002
        """More like this."""
        return similar_out(service.similar(id, top, filters), root_path)

    @app.head("/api/products/{id:path}/thumbnail", include_in_schema=False)
    @app.get("/api/products/{id:path}/thumbnail", responses=errors(404, 422, 503) | _JPEG, response_class=Response)
    def thumbnail(id: str, v: Version = None) -> Response:  # noqa: A002, ARG001
        """Show a product."""
        return Response(service.index.thumbnail(id), media_type="image/jpeg", headers=headers)


def _add_examples(app: FastAPI, folder: Path | None, root_path: str) -> None:
    def photos() -> list[Path]:
        return sorted(folder.glob("*.jpg"))[:MAX_EXAMPLES] if folder else []

    @app.get("/api/examples", responses=errors(422))
    def examples() -> ExamplesOut:
        """List photos to try."""
        return ExamplesOut(examples=[f"{root_path}/api/examples/{number}" for number in range(len(photos()))])

    @app.head("/api/examples/{number}", include_in_schema=False)
    @app.get("/api/examples/{number}", responses=errors(404, 422) | _JPEG, response_class=Response)
    def example(number: int) -> Response:
        """Show one: by its place in our own listing, so that no path from outside reaches the disk."""
        found = photos()
        if not 0 <= number < len(found):
            raise NotFoundError(f"no example {number}")
        return Response(found[number].read_bytes(), media_type="image/jpeg", headers={"cache-control": "no-cache"})


def _add_health(app: FastAPI, service: SearchService, worker: Worker, metrics: Metrics, draining: Draining) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Tell that the process answers."""
        return {"status": "ok"}

    @app.get("/readyz", responses=errors(503))
    def readyz() -> dict[str, str]:
        """Tell that models and index fit together and are in use, and that the service is not about to end."""
        if draining.on:
            raise DrainingError("about to end; ask another")
        made = service.index.manifest
        return {"status": "ready", "index_version": made.version, "encoder_version": made.encoder_version}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def show_metrics() -> PlainTextResponse:
        """Counters for Prometheus."""
        products = await asyncio.to_thread(lambda: service.index.manifest.rows)  # it may have to read a new version
        text = metrics.render(queue_length=worker.pending, batches_total=worker.batches, index_products=products)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


def _add_page(app: FastAPI, hidden: Collection[str] = ()) -> None:
    """Serve the page's files from memory, by exact name."""
    pages = {
        entry.name: (entry.read_bytes(), _MEDIA[Path(entry.name).suffix])
        for entry in (files("search") / "static").iterdir()
        if Path(entry.name).suffix in _MEDIA and entry.name not in hidden
    }

    @app.get("/", include_in_schema=False)
    async def home() -> Response:
        return await page("index.html")

    @app.get("/review", include_in_schema=False)
    async def review_page() -> Response:
        return await page("review.html")

    @app.get("/review/", include_in_schema=False)
    def without_slash() -> Response:
        return RedirectResponse("../review")  # relative: the proxy's scheme and prefix stay

    @app.get("/static/{name}", include_in_schema=False)
    async def page(name: str) -> Response:
        if name not in pages:
            raise NotFoundError("no such page")
        body, media = pages[name]
        return Response(body, media_type=media, headers={"cache-control": "no-cache"})
