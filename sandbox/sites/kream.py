"""KREAM's look-alike: pages rendered on the server with `__NUXT_DATA__`, and listings that grow on scrolling."""

from html import escape
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.sites.devalue import Tagged, stringify
from sandbox.sites.pictures import PictureServer, Size
from sandbox.sites.site import AI_MARK, Site, page
from sandbox.sites.source import KREAM, Post, Product, Source

_WIDTHS: Final = {"s": 90, "sl": 90, "m": 200, "l": 640, "m_2560": 2560}  # px per `?type=`
_CARDS_IN_HTML: Final = 20
_CARDS_PER_SCROLL: Final = 20
_CARDS_PER_PAGE: Final = 100
_VIDEO_EVERY: Final = 9  # every ninth post begins with a video slide
_TILE: Final = "background-color: rgb(235,240,245)"


class KreamSite(Site):
    """The pages of KREAM over a source."""

    def __init__(self, source: Source, pictures: PictureServer) -> None:
        super().__init__(KREAM, source, pictures, _size)

    def build(self) -> Starlette:
        """The ASGI application."""
        return self.app(
            [
                Route("/social/posts/{post_id:int}", self._post),
                Route("/products/{product_id:int}", self._product),
                Route("/search", self._search),
                Route("/api/screens/search/products", self._more),
            ]
        )

    async def _post(self, request: Request) -> Response:
        self.count("post")
        post = self.post(request.path_params["post_id"])
        if post is None:
            return page("kream_missing.html", 404)
        products = [self.source.products[tag.product_id] for tag in post.tags]
        return page(
            "kream_post.html",
            post_id=str(post.post_id),
            slides=self._slides(post),
            products="".join(self._product_item(product) for product in products),
            tagged=_tagged_block(len(products)),
            count=str(len(products)),
            ai=f'<span class="ai_label">{AI_MARK}</span>' if post.ai_made else "",
            when=f"{post.posted_at:%Y.%m.%d}",
            data=stringify(self._payload(post, products)),
        )

    def _slides(self, post: Post) -> str:
        pictures = [
            f'<picture class="picture social_img">{_sources(path)}'
            f'<img class="image" src="{path}?type=l" alt="소셜이미지" referrerpolicy="no-referrer"></picture>'
            for path in self.photo_paths(post)
        ]
        if _has_video(post):
            pictures.insert(0, '<video class="video" src="/videos/clip.mp4" muted></video>')
        return "".join(
            f'<div class="slick-slide" data-index="{index}"><div class="slide_item">'
            f'<div class="img_box">{picture}</div></div></div>'
            for index, picture in enumerate(pictures)
        )

    def _product_item(self, product: Product) -> str:
        path, name = self.product_path(product.product_id), escape(product.name)
        return (
            f'<li class="product_item"><a class="product_link" href="/products/{product.product_id}">'
            f'<div class="product" style="{_TILE}"><picture class="picture product_img">{_sources(path, "m")}'
            f'<img class="image" src="{path}?type=m" alt="{name}"></picture></div>'
            f'<div class="product_desc"><p class="brand">{escape(product.brand)}</p><p class="product_name">{name}</p>'
            f'<div class="price_box"><span class="amount">{product.price:,}원</span></div></div></a></li>'
        )

    def _payload(self, post: Post, products: list[Product]) -> dict[str, Any]:
        """Page data in the shape seen in KREAM's feeds: `social_post` with images and their product tags."""
        images: list[dict[str, Any]] = [{"secure_url": path, "product_tags": []} for path in self.photo_paths(post)]
        tags = [{"x": 0.5, "y": 0.5, "product": self._release(product)} for product in products]
        if images:
            images[0]["product_tags"] = tags
        if _has_video(post):
            images.insert(0, {"type": "video", "secure_url": "/videos/clip.mp4", "product_tags": []})
        social: dict[str, Any] = {
            "id": post.post_id,
            "images": images,
            "date_created": post.posted_at.isoformat(),
            "is_human_detected": True,
            "label": {"text": AI_MARK} if post.ai_made else None,
            "social_user": {"nickname": f"user{post.post_id % 97}"},
            "content": "오늘의 코디 <3",
        }
        detail = Tagged("Reactive", {"social_post": social, "comments": []})
        return {"state": {}, "pinia": Tagged("Reactive", {"social": {"postDetail": detail}})}

    def _release(self, product: Product) -> dict[str, Any]:
        return {
            "brand": {"name": product.brand},
            "release": {
                "id": product.product_id,
                "name": product.name,
                "original_price": product.price,
                "image_urls": [self.product_path(product.product_id)],
            },
        }

    async def _product(self, request: Request) -> Response:
        self.count("product")
        product = self.source.products.get(request.path_params["product_id"])
        if product is None:
            return page("kream_missing.html", 404)
        return page(
            "kream_product.html",
            name=escape(product.name),
            brand=escape(product.brand),
            price=f"{product.price:,}원",
            image=self.product_path(product.product_id),
        )

    async def _search(self, request: Request) -> Response:
        self.count("listing")
        products = self._listed(request)
        first, rest = products[:_CARDS_IN_HTML], products[_CARDS_IN_HTML:]
        query = f"shop_category_id={escape(request.query_params.get('shop_category_id', ''))}"
        return page(
            "kream_search.html",
            cards="".join(self._card(product) for product in first),
            more=f"/api/screens/search/products?{query}&page={_number(request, 'page', 1)}" if rest else "",
        )

    async def _more(self, request: Request) -> Response:
        self.count("api")
        products = self._listed(request)
        start = _CARDS_IN_HTML + _number(request, "cursor", 0)
        chunk = products[start : start + _CARDS_PER_SCROLL]
        after = start + len(chunk)
        cursor = after - _CARDS_IN_HTML if after < len(products) else None
        return JSONResponse({"cards": [self._card(product) for product in chunk], "next_cursor": cursor})

    def _listed(self, request: Request) -> list[Product]:
        wanted = {int(part) for part in request.query_params.get("shop_category_id", "").split(",") if part.isdigit()}
        listed = [product for product in self.source.listed.values() if product.shop_category_id in wanted]
        start = (max(1, _number(request, "page", 1)) - 1) * _CARDS_PER_PAGE
        return listed[start : start + _CARDS_PER_PAGE]

    def _card(self, product: Product) -> str:
        path, name = self.product_path(product.product_id), escape(product.name)
        return (
            f'<a class="product_card" href="/products/{product.product_id}"><div class="item_inner">'
            f'<div class="product" style="{_TILE}"><picture class="picture product_img">{_sources(path, "m")}'
            f'<img class="image" src="{path}?type=m" alt="{name}"></picture></div>'
            f'<p class="product_info_brand brand">{escape(product.brand)}</p><p class="name">{name}</p>'
            f'<p class="amount">{product.price:,}원</p></div></a>'
        )


def _tagged_block(count: int) -> str:
    return f'<span class="title_txt">상품 태그 {count}개</span>' if count else ""


def _sources(path: str, size: str = "l") -> str:
    return f'<source type="image/webp" srcset="{path}?type={size}_webp"><source srcset="{path}?type={size}">'


def _has_video(post: Post) -> bool:
    return post.post_id % _VIDEO_EVERY == 0


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isdigit() and len(text) < 10 else default


def _size(request: Request) -> Size | None:
    name = request.query_params.get("type", "")
    width = _WIDTHS.get(name.removesuffix("_webp"))
    return None if width is None else Size(width, name.endswith("_webp"))
