"""Small stand-ins for the retailers that the sandbox does not draw: Musinsa's snaps and 29CM's product search."""

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.sandbox.tiny import picture

FEED_PAGE = 3
LISTING_PAGE = 2
FIRST_SNAP = 1_400_000_000_000_000_001


@dataclass
class Shops:
    """`snaps` are ids, oldest first; `products` are item numbers by category. All may change while it serves."""

    snaps: list[int] = field(default_factory=list)
    products: dict[str, list[int]] = field(default_factory=dict)
    brand: str = "노박"
    pictures: str = "/images/item"
    """Address of the folder of the items' pictures."""
    robots: int = 200
    """Status of robots.txt."""
    broken: Container[int] = ()
    """Items whose pictures answer 500."""
    hits: Counter[str] = field(default_factory=Counter)

    def build(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/robots.txt", lambda _: PlainTextResponse("User-agent: *\nDisallow: /my\n", self.robots)),
                Route("/snap/main/recommend", self._feed),
                Route("/snap/{snap:int}", self._snap),
                Route("/api/v4/products/category", self._listing),
                Route("/images/{path:path}", self._picture),
            ]
        )

    async def _feed(self, request: Request) -> Response:
        self.hits["feed"] += 1
        start = (int(request.query_params["page"]) - 1) * FEED_PAGE
        snaps = [{"type": "SNAP", "id": str(n)} for n in self.snaps[::-1][start : start + FEED_PAGE]]
        data = json.dumps({"props": {"list": snaps}})
        return HTMLResponse(f'<div id="__next"></div><script id="__NEXT_DATA__">{data}</script>')

    async def _snap(self, request: Request) -> Response:
        self.hits["snap"] += 1
        snap = request.path_params["snap"]
        if snap not in self.snaps:
            return HTMLResponse("<p>존재하지 않는 스냅입니다</p>", 404)
        number = snap % 100
        return HTMLResponse(
            f'<img src="/images/style/{snap}.jpg?w=1000"><ul><li data-item-id="{number}">'
            f'<img src="/images/goods_img/20260101/{number}/x.jpg?w=260" alt="Item {number}"><b>Hanbit</b></li></ul>'
        )

    async def _listing(self, request: Request) -> Response:
        self.hits["listing"] += 1
        query = request.query_params
        numbers = self.products.get(query.get("categoryMediumCode") or query["categoryLargeCode"], [])
        start = (int(query["page"]) - 1) * LISTING_PAGE
        products = [
            {
                "itemNo": n,
                "itemName": f"Item {n}",
                "frontBrandNameKor": self.brand,
                "imageUrl": f"{self.pictures}/{n}.jpg",
            }
            for n in numbers[start : start + LISTING_PAGE]
        ]
        return JSONResponse({"data": {"products": products}})

    async def _picture(self, request: Request) -> Response:
        self.hits["picture"] += 1
        name = request.path_params["path"].rpartition("/")[2].removesuffix(".jpg")
        if name.isdecimal() and int(name) in self.broken:
            return PlainTextResponse("later", 500)
        return Response(picture(len(request.path_params["path"]), (240, 240)), media_type="image/jpeg")


@contextlib.contextmanager
def open_shops(shops: Shops) -> Iterator[str]:
    """Serve them on a free port of 127.0.0.1; gives the address."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(shops.build(), log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        sock.close()
