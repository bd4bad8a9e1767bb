"""Errors of the models room. Each says which field, which rule and which value."""


class ModelsError(Exception):
    """Base of everything this package raises on purpose."""


class ConfigError(ModelsError):
    """Raised when a configuration file or value breaks a rule; names the field, the rule and the value."""


class DataError(ModelsError):
    """Raised when data cannot be trained on or measured: no images, an empty class, a broken annotation file."""


class CheckpointError(ModelsError):
    """Raised when a checkpoint directory is missing, incomplete, changed since it was written, or of another kind."""


class TrainingError(ModelsError):
    """Raised when training cannot go on, as when the loss is not finite; the last good checkpoint is kept."""


class MetricError(ModelsError):
    """Raised when a metric cannot be computed from what was given; no number is made up in its place."""
