"""The JSON that the service answers with, and how it is made from what the library returns."""

from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote

from pydantic import BaseModel, Field

from search.alike import Copies
from search.index import Hit, Product
from search.query import Answer, Garment, Similar, Source

_LINKS: Final = ("http://", "https://")
_DIGITS: Final = 4  # of scores and seconds: more is noise


class ProductOut(BaseModel):
    """One product."""

    site: str = Field(examples=["kream"])
    id: str = Field(description="stable across rebuilds: <site>-<the site's id>", examples=["kream-12345"])
    name: str | None = Field(examples=["Cropped denim jacket"])
    brand: str | None = Field(examples=["Maison Seoul"])
    price: int | None = Field(description="KRW", examples=[129000])
    url: str | None = Field(description="the shop's page of it", examples=["https://kream.co.kr/products/12345"])
    category: str = Field(examples=["outer"])
    thumbnail: str = Field(
        description="path of a JPEG, longest side 256 px",
        examples=["/api/products/kream-12345/thumbnail?v=88a18b4f1e5d9e8b36c6"],
    )


class HitOut(ProductOut):
    """A product and how alike it is."""

    score: float = Field(description="cosine similarity, -1 to 1", examples=[0.8712])


class FoundOut(HitOut):
    """A hit, and what shows the very same picture."""

    copies: list[HitOut] = Field(default=[], description="products with the same picture, left out of the hits")


class GarmentOut(BaseModel):
    """A box on the photo, and its hits where they were asked for."""

    box: tuple[float, float, float, float] = Field(
        description="left, top, right, bottom in px of the upright photo", examples=[[60.0, 40.0, 180.0, 160.0]]
    )
    category: str | None = Field(description="searched category; null is all of them", examples=["outer"])
    score: float | None = Field(description="of the detector, 0-1; null unless it was detected", examples=[0.93])
    source: Source = Field(
        description="detected on the photo; the box that was given; or the whole photo, where no garment was detected",
        examples=["detected"],
    )
    hits: list[FoundOut] = Field(default=[], description="best first")


class AnswerOut(BaseModel):
    """What a photo holds."""

    width: int = Field(description="px, of the upright photo", examples=[1080])
    height: int = Field(description="px", examples=[1440])
    index_version: str = Field(examples=["88a18b4f1e5d9e8b36c6"])
    garments: list[GarmentOut]
    seconds: dict[str, float] = Field(
        description="by step", examples=[{"decode": 0.012, "detect": 0.034, "embed": 0.011, "search": 0.002}]
    )


class SimilarOut(BaseModel):
    """A product and what is like it."""

    product: ProductOut
    index_version: str = Field(examples=["88a18b4f1e5d9e8b36c6"])
    hits: list[FoundOut] = Field(description="of the same category, best first")


class CatalogOut(BaseModel):
    """What can be searched."""

    products: int = Field(examples=[570])
    categories: dict[str, int] = Field(description="products per category", examples=[{"top": 120, "bag": 40}])
    index_version: str = Field(examples=["88a18b4f1e5d9e8b36c6"])
    encoder_version: str = Field(examples=["3b0ad157cb8cdeac"])


class ExamplesOut(BaseModel):
    """Photos to try."""

    examples: list[str] = Field(description="paths of JPEGs", examples=[["/api/examples/0"]])


class ErrorBody(BaseModel):
    """Which rule was broken, for programs and for people."""

    name: str = Field(examples=["too_large"])
    message: str = Field(examples=["body: at most 10485760 bytes, got 20000000"])


class ErrorOut(BaseModel):
    """Every answer that is not a success."""

    error: ErrorBody


Address = Callable[[str], str]
"""From a product's id to the path of its thumbnail, as a browser asks for it."""


def thumbnail_address(root_path: str, version: str) -> Address:
    """Addresses of one version's thumbnails, which never change, below the prefix of a proxy."""
    return lambda id: f"{root_path}/api/products/{quote(id, safe='')}/thumbnail?v={version}"  # noqa: A006


def answer_out(answer: Answer, root_path: str = "") -> AnswerOut:
    """JSON of a whole answer."""
    address = thumbnail_address(root_path, answer.index_version)
    return AnswerOut(
        width=answer.width,
        height=answer.height,
        index_version=answer.index_version,
        garments=[_garment_out(garment, address) for garment in answer.garments],
        seconds={step: round(value, _DIGITS) for step, value in answer.seconds.items()},
    )


def similar_out(found: Similar, root_path: str = "") -> SimilarOut:
    """JSON of a product's neighbours."""
    address = thumbnail_address(root_path, found.index_version)
    product = ProductOut(**_product_fields(found.product, address))
    hits = _found_out(found.hits, found.copies, address)
    return SimilarOut(product=product, index_version=found.index_version, hits=hits)


def _garment_out(garment: Garment, address: Address) -> GarmentOut:
    x0, y0, x1, y1 = (round(value, 1) for value in garment.box)
    return GarmentOut(
        box=(x0, y0, x1, y1),
        category=garment.category,
        score=None if garment.score is None else round(garment.score, _DIGITS),
        source=garment.source,
        hits=_found_out(garment.hits, garment.copies, address),
    )


def _found_out(hits: Sequence[Hit], copies: Copies, address: Address) -> list[FoundOut]:
    return [
        FoundOut(
            **_hit_fields(hit, address),
            copies=[HitOut(**_hit_fields(copy, address)) for copy in copies.get(hit.product.id, ())],
        )
        for hit in hits
    ]


def _hit_fields(hit: Hit, address: Address) -> dict[str, Any]:
    return {"score": round(hit.score, _DIGITS), **_product_fields(hit.product, address)}


def _product_fields(product: Product, address: Address) -> dict[str, Any]:
    """A link that is not http(s) is left out: it came from a crawled page and will be clicked."""
    return {
        "site": product.site,
        "id": product.id,
        "name": product.name,
        "brand": product.brand,
        "price": product.price,
        "url": product.url if product.url and product.url.startswith(_LINKS) else None,
        "category": product.category,
        "thumbnail": address(product.id),
    }
