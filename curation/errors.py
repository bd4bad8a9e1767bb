"""Errors of the curation room. Each says which field, which rule and which value."""


class CurationError(Exception):
    """Base of everything this package raises on purpose."""


class SchemaError(CurationError):
    """Raised when a table that is read or written does not have its declared columns and types."""


class ImageError(CurationError):
    """Raised by `curation.images.decode` for bytes that are no usable picture; `reason` is an `ImageFault`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StepError(CurationError):
    """Raised by `curation.engine.map_shards` when no shard of a table is up to date or could be made; says why."""
