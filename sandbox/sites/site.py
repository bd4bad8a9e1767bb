"""What both sites share: pictures with sizes by query, robots.txt, counters, and templates."""

import os
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from string import Template
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.sites.addresses import Addresses, PictureKey
from sandbox.sites.pictures import PictureServer, Size, media_type
from sandbox.sites.source import Post, Source

ROBOTS: Final = "User-agent: *\nAllow: /\nDisallow: /my\nDisallow: /history\nDisallow: /bridge\n"
AI_MARK: Final = "AI로 제작한 이미지"
_STATIC: Final = files("sandbox.sites") / "static"
_TEMPLATES: Final = files("sandbox.sites") / "templates"


class SiteError(Exception):
    """Raised when a site is asked for something that it cannot serve at all, such as a template that is not there."""


class Site:
    """One retailer's site over a source.

    Whoever serves it may set `until` and change `deleted` while it serves, so that posts come and go as time passes.

    Args:
        name: kream or onthelook.
        source: the world.
        pictures: shared by both sites, so that there is one drawing thread.
        size_of: reads the size that an image query selects; None means the original.
    """

    def __init__(
        self, name: str, source: Source, pictures: PictureServer, size_of: Callable[[Request], Size | None]
    ) -> None:
        self.name = name
        self.source = source
        self.pictures = pictures
        self.addresses = Addresses(source.seed)
        self.hits: Counter[str] = Counter()
        self.until: datetime | None = None  # posts after it are not there yet; None: all are
        self.deleted: set[int] = set()  # posts that are no longer there
        self._size_of = size_of

    def post(self, post_id: int) -> Post | None:
        """The post, or None when it was deleted, never existed or is not there yet."""
        post = self.source.posts.get(self.name, {}).get(post_id)
        if post is None or post.gone or post_id in self.deleted:
            return None
        return post if self.until is None or post.posted_at <= self.until else None

    def photo_paths(self, post: Post) -> list[str]:
        """Original image path of each photo of a post."""
        return [
            self.addresses.path(PictureKey(self.name, "photo", post.post_id, photo.position), post.posted_at)
            for photo in post.photos
        ]

    def product_path(self, product_id: int) -> str:
        """Original image path of a product."""
        return self.addresses.path(PictureKey(self.name, "product", product_id))

    def routes(self) -> list[Route]:
        """Routes that both sites have."""
        return [
            Route("/images/{path:path}", self._image),
            Route("/static/{name}", self._static),
            Route("/robots.txt", self._robots),
            Route("/bridge/{path:path}", self._bridge),
            Route("/__sandbox", self._about),
        ]

    def app(self, routes: list[Route]) -> Starlette:
        """The site as an ASGI application."""
        return Starlette(routes=[*routes, *self.routes()])

    def count(self, kind: str) -> None:
        """Count a request, for those who want to see how politely a site was read."""
        self.hits[kind] += 1

    async def _image(self, request: Request) -> Response:
        size = self._size_of(request)
        self.count("original" if size is None else "resized")
        key = self.addresses.key(request.url.path)
        if key is None or key.site != self.name or not self._is_shown(key):
            return PlainTextResponse("not found", 404)
        try:
            data = await self.pictures.get(key, size)
        except (KeyError, IndexError):
            return PlainTextResponse("not found", 404)
        return Response(data, media_type=media_type(data), headers={"cache-control": "max-age=600"})

    def _is_shown(self, key: PictureKey) -> bool:
        return key.role == "product" or self.post(key.item) is not None

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ("kream.js", "onthelook.js"):
            return PlainTextResponse("not found", 404)
        return Response((_STATIC / name).read_text(), media_type="text/javascript")

    async def _robots(self, _: Request) -> Response:
        self.count("robots")
        return PlainTextResponse(ROBOTS)

    async def _bridge(self, _: Request) -> Response:
        self.count("disallowed")
        return Response(b"", media_type="image/gif")

    async def _about(self, _: Request) -> Response:
        return JSONResponse(
            {
                "site": self.name,
                "pid": os.getpid(),
                "seed": self.source.seed,
                "posts": sum(len(posts) for posts in self.source.posts.values()),
                "products": len(self.source.products),
                "photos": getattr(self.source, "folder", None),
                "hits": dict(self.hits),
            }
        )


def page(template: str, status: int = 200, **values: str) -> HTMLResponse:
    """Fill a page template; values are HTML."""
    path = _TEMPLATES / template
    if not path.is_file():
        raise SiteError(f"no template {template!r} in {_TEMPLATES}")
    return HTMLResponse(Template(path.read_text()).substitute(values), status)
