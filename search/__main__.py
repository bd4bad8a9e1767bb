"""Command line: `python -m search query PHOTO.jpg`, `serve`, and `versions`, `rollback` and `delete` of the index."""

import argparse
import errno
import os
import socket
import sys
from pathlib import Path
from typing import Final

from curation.images import decode, encode_jpeg
from curation.options import add_data, missing
from curation.taxonomy import CATEGORIES
from models.errors import ModelsError
from search.answers import answer_out
from search.errors import BadRequestError, IndexMissingError, SearchError
from search.index.stores import open_store
from search.photo import open_photo
from search.protocols import IndexStore
from search.query import Answer, SearchService
from search.report import query_picture

_VARIABLE: Final = "SEARCH_REVIEW_TOKEN"  # the one environment variable that the service reads
_LAST_PORT: Final = 65535


def main(arguments: list[str] | None = None) -> int:
    """Run a command; give the exit status: 0, or 2 with a message when models, index or what was asked will not do."""
    options = _parser().parse_args(arguments)
    try:
        run: int = options.run(options)
    except (SearchError, ModelsError, OSError) as error:
        print(f"search: {error}", file=sys.stderr)
        return 2
    return run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m search", description="From a photo to the shop's products.")
    commands = parser.add_subparsers(required=True)
    query = commands.add_parser("query", help="find the products on one photo")
    query.add_argument("photo", type=Path)
    query.add_argument("--top", type=int, default=5, help="products per garment (default 5)")
    query.add_argument("--category", choices=CATEGORIES, help="search only there")
    query.add_argument("--json", action="store_true", help="print JSON, as the service answers")
    query.add_argument("--picture", type=Path, help="also draw boxes and neighbours into this JPEG")
    query.set_defaults(run=_query)
    serve = commands.add_parser("serve", help="start the HTTP service and its page")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8700)
    serve.add_argument(
        "--review-token",
        default=os.environ.get(_VARIABLE, ""),
        help=f"opens /review to whoever knows it; better given by {_VARIABLE}, which other users cannot see",
    )
    serve.add_argument("--root-path", default="", help="prefix under which a proxy shows the service, as /find")
    serve.add_argument(
        "--drain",
        type=float,
        default=0,
        metavar="SECONDS",
        help="after SIGTERM, answer on for so long, not ready",
    )
    serve.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="URL",
        help="a site whose pages may search from the browser, as https://shop.example; may be repeated",
    )
    serve.set_defaults(run=_serve)
    shown = commands.add_parser("versions", help="list the versions of the index, the one in use marked *")
    shown.add_argument("--json", action="store_true", help="print the manifests as JSON lines")
    shown.set_defaults(run=_versions)
    back = commands.add_parser("rollback", help="return to the version before; a running service takes it up")
    back.set_defaults(run=_rollback)
    delete = commands.add_parser("delete", help="leave products out, until the index is built from the catalog again")
    delete.add_argument("ids", nargs="+", metavar="ID", help="as the service shows them: <site>-<the site's own id>")
    delete.set_defaults(run=_delete)
    for command in (query, serve, shown, back, delete):
        add_data(command, Path, holds="models/, index/ and examples/")
        command.add_argument("--milvus", default="", metavar="URI", help="the index is there instead of in --data")
    return parser


def _open(data: Path, milvus: str) -> SearchService:
    """Load models and index without the progress bars of a library that expects to download gigabytes."""
    _store(data, milvus).open()  # tells at once what is missing; importing torch takes seconds
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    return SearchService.open(data, milvus)


def _store(data: Path, milvus: str) -> IndexStore:
    """Where the index is kept. Raises `IndexMissingError` when that is a folder which is not there."""
    if not milvus and not data.is_dir():
        raise IndexMissingError(missing(data))
    return open_store(data / "index", milvus)


def _query(options: argparse.Namespace) -> int:
    photo = _read(options.photo)
    _check_query(photo, options.top, options.picture)
    service = _open(options.data, options.milvus)
    answer = service.search(photo, category=options.category, top=options.top)
    print(answer_out(answer).model_dump_json(indent=2) if options.json else _text(answer))
    if options.picture:
        sheet = query_picture(service.index, decode(photo), answer.garments, options.top)
        options.picture.write_bytes(encode_jpeg(sheet))
    return 0


def _read(photo: Path) -> bytes:
    """Bytes of a file. Raises `BadRequestError` when it cannot be read."""
    try:
        return photo.read_bytes()
    except OSError as error:
        raise BadRequestError(f"photo: {error.strerror}: {photo}") from error


def _check_query(photo: bytes, top: int, picture: Path | None) -> None:
    """Raise `SearchError` for what cannot be answered, before models are loaded, which takes seconds."""
    if top < 1:
        raise BadRequestError(f"top: must be at least 1, got {top}")
    if picture and (picture.is_dir() or not picture.parent.is_dir()):
        raise BadRequestError(f"picture: must be a file in a folder that is there, got {picture}")
    open_photo(photo)


def _text(answer: Answer) -> str:
    lines = []
    for garment in answer.garments:
        sure = "" if garment.score is None else f" {garment.score:.2f}"
        x0, y0, x1, y1 = (round(side) for side in garment.box)
        lines.append(f"{garment.category or 'any category'}{sure} at {x0},{y0},{x1},{y1}")
        for hit in garment.hits:
            item = hit.product
            price = "" if item.price is None else f"{item.price:,} KRW"
            lines.append(f"  {hit.score:.3f}  {item.brand or ''}  {item.name or item.id}  {price}  {item.url or ''}")
    return "\n".join(lines)


def _serve(options: argparse.Namespace) -> int:
    from search.app import create_app
    from search.memory import keep_memory_flat
    from search.review import ReviewQueue
    from search.server import Draining, serve
    from search.sharing import checked_origins

    _check_port(options.host, options.port)  # before models are loaded, which takes seconds
    origins = checked_origins(options.origin)
    keep_memory_flat()  # before models are loaded and threads begin
    review = (ReviewQueue(options.data), options.review_token) if options.review_token else None
    service, draining = _open(options.data, options.milvus), Draining()
    service.warm_up()  # before it says that it is ready
    root = options.root_path.rstrip("/")
    app = create_app(
        service, options.data / "examples", review=review, root_path=root, draining=draining, origins=origins
    )
    print(f"Search page: http://{options.host}:{options.port}{root}/")
    if review:
        print(f"Review page: http://{options.host}:{options.port}{root}/review")
    serve(app, draining, options.host, options.port, options.drain)
    return 0


def _check_port(host: str, port: int) -> None:
    """Raises `BadRequestError` for a number that is no port, or when something else listens there."""
    if not 1 <= port <= _LAST_PORT:
        raise BadRequestError(f"port: must be from 1 to {_LAST_PORT}, got {port}")
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: an ended one may linger
        try:
            tried.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise BadRequestError(f"port {port} is in use; give another --port") from error


def _versions(options: argparse.Namespace) -> int:
    store = _store(options.data, options.milvus)
    used = store.current()
    for made in store.versions():
        if options.json:
            print(made.model_dump_json())
        else:
            facts = f"{made.created_at:%Y-%m-%d %H:%M:%S}  {made.made_by:<6}  {made.rows:>9,} products"
            quality = f"recall {made.lowest_recall:.3f}  encoder {made.encoder_version}"
            print(f"{'*' if made.version == used else ' '} {made.version}  {facts}  {quality}")
    return 0


def _rollback(options: argparse.Namespace) -> int:
    print(_store(options.data, options.milvus).rollback())
    return 0


def _delete(options: argparse.Namespace) -> int:
    store = _store(options.data, options.milvus)
    index = store.open()
    asked = dict.fromkeys(options.ids)
    unknown = [product for product in asked if product not in index]
    if unknown:
        print(f"search: not in the index: {', '.join(unknown)}", file=sys.stderr)
    if len(unknown) == len(asked):
        return 2
    made = store.delete(options.ids)
    print(f"{made.version}: {made.rows} products")
    return 0


if __name__ == "__main__":
    sys.exit(main())
