"""OnTheLook's look-alike: pages that are empty without JavaScript, filled from a JSON endpoint."""

from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.sites.pictures import PictureServer, Size
from sandbox.sites.site import AI_MARK, Site, page
from sandbox.sites.source import ONTHELOOK, Post, Source

_MAX_WIDTH: Final = 1200  # px, the largest `?w=` that the image server gives


class OnTheLookSite(Site):
    """The pages of OnTheLook over a source."""

    def __init__(self, source: Source, pictures: PictureServer) -> None:
        super().__init__(ONTHELOOK, source, pictures, _size)
        self._by_id = {source.site_product_id(ONTHELOOK, number): number for number in source.products}

    def build(self) -> Starlette:
        """The ASGI application."""
        return self.app(
            [
                Route("/post/{post_id:int}", self._shell),
                Route("/product/{product_id}", self._product),
                Route("/api/posts/{post_id:int}", self._api),
            ]
        )

    async def _shell(self, request: Request) -> Response:
        self.count("post")
        return page("onthelook.html", 200 if self.post(request.path_params["post_id"]) else 404)

    async def _product(self, request: Request) -> Response:
        self.count("product")
        return page("onthelook.html", 200 if request.path_params["product_id"] in self._by_id else 404)

    async def _api(self, request: Request) -> Response:
        self.count("api")
        post = self.post(request.path_params["post_id"])
        if post is None:
            return JSONResponse({"message": "존재하지 않는 게시물입니다."}, 404)
        return JSONResponse(
            {
                "id": post.post_id,
                "createdAt": post.posted_at.isoformat(),
                "label": AI_MARK if post.ai_made else "",
                "images": self.photo_paths(post),
                "products": self._products(post),
                "user": {"nickname": f"user{post.post_id % 97}"},
            }
        )

    def _products(self, post: Post) -> list[dict[str, Any]]:
        products = [self.source.products[tag.product_id] for tag in post.tags]
        return [
            {
                "id": self.source.site_product_id(ONTHELOOK, product.product_id),
                "name": product.name,
                "brand": product.brand,
                "price": product.price,
                "image": self.product_path(product.product_id),
            }
            for product in products
        ]


def _size(request: Request) -> Size | None:
    text = request.query_params.get("w", "")
    if not text.isdigit():
        return None
    return Size(max(1, min(int(text), _MAX_WIDTH)), request.query_params.get("f") == "webp")
