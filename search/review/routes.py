"""The review's part of the service: every route needs the token, but the page itself, which holds nothing."""

import hmac
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from curation.review import Decision
from curation.taxonomy import Category
from search.errors import TokenError, UnauthorizedError
from search.fields import errors
from search.review.pairs import Doubt
from search.review.queue import Progress, ReviewQueue

MIN_TOKEN: Final = 16  # characters: a shorter one can be guessed
_AT_ONCE: Final = 10  # pairs that a page may ask for
_DIGITS: Final = 3
_ERRORS: Final = errors(401, 404, 422)
_JPEG: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"image/jpeg": {}}}}
_PRIVATE: Final = {"cache-control": "private, max-age=3600"}

Reviewer = Annotated[str, Field(min_length=1, max_length=40, pattern=r"\S", description="name", examples=["ann"])]
PairId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="as the queue gives it")]


class DoubtOut(BaseModel):
    """A pair to look at."""

    id: str = Field(examples=["0123456789abcdef"])
    category: Category
    noise: float = Field(description="how doubtful, 0-1", examples=[0.42])
    post_url: str
    product_url: str | None


class ProgressOut(BaseModel):
    """How far the review is."""

    pairs: int
    reviewed: int = Field(description="judged or passed by somebody")
    accepted: int
    rejected: int


class QueueOut(BaseModel):
    """What to look at next."""

    state: Literal["ready", "preparing"] = Field(description="while preparing, ask again in a second")
    pairs: list[DoubtOut] = Field(description="most doubtful first; held for this reviewer for five minutes")
    progress: ProgressOut


class VerdictIn(BaseModel):
    """What a reviewer says of a pair."""

    model_config = ConfigDict(extra="forbid")

    pair: str = Field(pattern="^[0-9a-f]{16}$", examples=["0123456789abcdef"])
    decision: Decision = Field(examples=["accept"])
    category: Category | None = Field(None, description="the right one, of a pair that is accepted", examples=["hat"])
    reviewer: Reviewer


def add_review(app: FastAPI, queue: ReviewQueue, token: str) -> None:
    """Add the routes. Raises `TokenError` for a token that is shorter than `MIN_TOKEN`, or fits into no header."""
    token = token.strip()  # a file that holds it ends in a line break
    if len(token) < MIN_TOKEN:
        raise TokenError(f"review token: at least {MIN_TOKEN} characters, got {len(token)}")
    if not (token.isascii() and token.isprintable()):
        raise TokenError("review token: letters, digits and signs of ASCII only")
    expected = f"Bearer {token}".encode()

    def check(authorization: Annotated[str, Header(description="Bearer and the token")] = "") -> None:
        if not hmac.compare_digest(authorization.encode(), expected):
            raise UnauthorizedError("review: the token is missing or wrong")

    router = APIRouter(prefix="/api/review", dependencies=[Depends(check)], responses=_ERRORS)
    _add_verdicts(router, queue)
    _add_pictures(router, queue)
    app.include_router(router)


def _add_verdicts(router: APIRouter, queue: ReviewQueue) -> None:
    @router.get("/queue")
    def next_pairs(
        reviewer: Annotated[Reviewer, Query()], count: Annotated[int, Query(ge=1, le=_AT_ONCE)] = 5
    ) -> QueueOut:
        """Give the most doubtful pairs that nobody has looked at."""
        ready = queue.ready()
        pairs = [_doubt_out(pair) for pair in queue.next(reviewer.strip(), count)] if ready else []
        return QueueOut(state="ready" if ready else "preparing", pairs=pairs, progress=_progress_out(queue.progress()))

    @router.post("/verdicts", status_code=201, responses=errors(400, 408, 413, 429))
    def say(verdict: VerdictIn) -> ProgressOut:
        """Take a verdict; `withdraw` takes the reviewer's own back."""
        queue.say(verdict.pair, verdict.decision, verdict.reviewer.strip(), verdict.category)
        return _progress_out(queue.progress())


def _add_pictures(router: APIRouter, queue: ReviewQueue) -> None:
    shows = {"photo": queue.pictures.photo, "crop": queue.pictures.crop, "thumbnail": queue.pictures.thumbnail}

    @router.get("/pairs/{id}/{picture}", responses=_JPEG, response_class=Response)
    def picture(id: PairId, picture: Literal["photo", "crop", "thumbnail"]) -> Response:  # noqa: A002
        """Show one of a pair's pictures."""
        return Response(queue.draw(id, shows[picture]), media_type="image/jpeg", headers=_PRIVATE)


def _doubt_out(pair: Doubt) -> DoubtOut:
    return DoubtOut(
        id=pair.id,
        category=pair.category,
        noise=round(pair.noise, _DIGITS),
        post_url=pair.post_url,
        product_url=pair.product_url,
    )


def _progress_out(progress: Progress) -> ProgressOut:
    return ProgressOut(
        pairs=progress.pairs, reviewed=progress.reviewed, accepted=progress.accepted, rejected=progress.rejected
    )
