"""Errors of the search room. Each knows the HTTP status with which the service answers it."""

from typing import ClassVar


class SearchError(Exception):
    """Base of everything this package raises on purpose; its message may be shown to a client."""

    status: ClassVar[int] = 500
    name: ClassVar[str] = "internal"


class IndexBuildError(SearchError):
    """Raised by `build_index` when the embeddings cannot make a sound index. Nothing was swapped in."""

    name = "index_build"


class IndexMissingError(SearchError):
    """Raised when a folder holds no index, or one that is damaged or of another format."""

    status = 503
    name = "index_missing"


class VersionMismatchError(SearchError):
    """Raised when the index was made by another encoder than the one that is loaded."""

    status = 503
    name = "version_mismatch"


class BadPhotoError(SearchError):
    """Raised when uploaded bytes are no picture that can be used; the message says why."""

    status = 422
    name = "bad_photo"


class BadRequestError(SearchError):
    """Raised when a field of a request breaks a rule; the message names the field, the rule and the value."""

    status = 422
    name = "bad_request"


class TooLargeError(SearchError):
    """Raised when a request's body is longer than the service accepts."""

    status = 413
    name = "too_large"


class TooSlowError(SearchError):
    """Raised when a client takes too long to send its body."""

    status = 408
    name = "too_slow"


class NotFoundError(SearchError):
    """Raised when a product, an example or a page does not exist."""

    status = 404
    name = "not_found"


class UnauthorizedError(SearchError):
    """Raised when a request for review carries no token, or a wrong one."""

    status = 401
    name = "unauthorized"


class TokenError(SearchError):
    """Raised when the service is started with a token for review that can be guessed, or never be sent."""

    name = "token"


class DrainingError(SearchError):
    """Raised by readiness when the service is about to end; queries are still answered."""

    status = 503
    name = "draining"


class BusyError(SearchError):
    """Raised when the queue in front of the models is full. Nothing was done; try again."""

    status = 429
    name = "busy"


class OverdueError(SearchError):
    """Raised when an answer took longer than the service promises."""

    status = 504
    name = "overdue"


class GoneError(SearchError):
    """Raised when the client went away before its answer was there. Nobody reads this; it is counted."""

    status = 499  # as nginx has it
    name = "gone"
