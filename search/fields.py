"""What a request may say: its fields with their bounds, as the OpenAPI document shows them."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any, Final

from fastapi import Depends, File, Form, Query, Request, UploadFile, params
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import StringConstraints

from models.boxes import Box
from search.answers import ErrorOut
from search.errors import BadRequestError
from search.index import Filters

MAX_TOP: Final = 60
_MOST: Final = 20  # brands or sites in one filter
_DEAREST: Final = 10**12  # KRW
_SIDES: Final = 4  # of a box
_LONGEST_NAME: Final = 40  # characters of an unknown field that are shown
_BRANDS: Final = "only these brands, as the shop writes them"
_SITES: Final = "only these sites"
_Name = Annotated[str, StringConstraints(max_length=200)]  # the index remembers filters for a while
_MIN, _MAX = "KRW, at least", "KRW, at most"

Photo = Annotated[UploadFile, File(description="JPEG, PNG, WebP or GIF of at most 10 MiB and 40 megapixels")]
BoxField = Annotated[
    str | None,
    Form(
        description="x0,y0,x1,y1 in px of the upright photo; every garment (of `category`, if given) without",
        max_length=200,
        examples=["60,40,180,160"],
    ),
]
CategoryField = Annotated[str | None, Form(description="search only there", max_length=20, examples=["shoes"])]
TopField = Annotated[int, Form(ge=1, le=MAX_TOP, description="hits per garment")]
TopQuery = Annotated[int, Query(ge=1, le=MAX_TOP, description="hits")]
Version = Annotated[str | None, Query(description="of the index; not looked at, but tells caches one from the next")]


def form_filters(
    brand: Annotated[list[_Name], Form(description=_BRANDS, max_length=_MOST, examples=[["Novak"]])] = [],  # noqa: B006
    site: Annotated[list[_Name], Form(description=_SITES, max_length=_MOST, examples=[["kream"]])] = [],  # noqa: B006
    min_price: Annotated[int | None, Form(ge=0, le=_DEAREST, description=_MIN)] = None,
    max_price: Annotated[int | None, Form(ge=0, le=_DEAREST, description=_MAX)] = None,
) -> Filters:
    """Filters in the fields of a form. Raises `BadRequestError` for a range of prices that nothing can be in."""
    return Filters(frozenset(filter(None, brand)), frozenset(filter(None, site)), min_price, max_price)


def query_filters(
    brand: Annotated[list[_Name], Query(description=_BRANDS, max_length=_MOST)] = [],  # noqa: B006
    site: Annotated[list[_Name], Query(description=_SITES, max_length=_MOST)] = [],  # noqa: B006
    min_price: Annotated[int | None, Query(ge=0, le=_DEAREST, description=_MIN)] = None,
    max_price: Annotated[int | None, Query(ge=0, le=_DEAREST, description=_MAX)] = None,
) -> Filters:
    """Filters in the query of an address. Raises as `form_filters`."""
    return form_filters(brand, site, min_price, max_price)


FormFilters = Annotated[Filters, Depends(form_filters)]
QueryFilters = Annotated[Filters, Depends(query_filters)]


async def check_names(request: Request) -> None:
    """A dependency of every route: below `/api/`, raises `BadRequestError` for a field that the route does not have.

    A misspelt filter would otherwise be a filter that is not there. Fields of JSON are checked by their models.
    """
    route = request.scope["route"]
    if not isinstance(route, APIRoute) or not route.path.startswith("/api/"):
        return
    in_address, in_form = _names(route.dependant)
    _check_known(request.query_params, "address", in_address, "form", in_form)
    if in_form:
        _check_known(await request.form(), "form", in_form, "address", in_address)


def _check_known(sent: Iterable[str], place: str, known: set[str], elsewhere: str, known_elsewhere: set[str]) -> None:
    for name in sent:
        if name in known:
            continue
        told = f"{name[:_LONGEST_NAME]}: is no field of the {place}"
        if name in known_elsewhere:
            raise BadRequestError(f"{told}, but of the {elsewhere}")
        near = get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(known)) or 'none'}"
        raise BadRequestError(f"{told}; {hint}")


def _names(dependant: Dependant) -> tuple[set[str], set[str]]:
    """Fields that a route and what it depends on take: of the address, and of the form."""
    parts = [dependant, *dependant.dependencies]
    in_address = {field.alias for part in parts for field in part.query_params}
    in_form = {field.alias for part in parts for field in part.body_params if isinstance(field.field_info, params.Form)}
    return in_address, in_form


def parse_box(text: str | None) -> Box | None:
    """`x0,y0,x1,y1` as four numbers. Raises `BadRequestError`."""
    if not text:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != _SIDES:
        raise BadRequestError(f"box: four numbers x0,y0,x1,y1, got {text!r}")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of answers that are no success."""
    return {status: {"model": ErrorOut, "description": _DESCRIPTIONS[status]} for status in statuses}


_DESCRIPTIONS: Final = {
    400: "the body is no form, or no JSON",
    401: "the token is missing or wrong",
    404: "there is no such thing",
    408: "the body took too long to arrive",
    413: "the body is too long",
    422: "no usable picture, or a field that breaks its rule or is not known",
    429: "the queue is full; try again after the seconds in Retry-After",
    503: "the index cannot be reached, or the service is about to end",
    504: "no answer in time",
}
