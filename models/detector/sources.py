"""Where annotated pictures come from: for each known set its reader, its classes and its terms.

A new set is one entry in `MAKERS`, with a reader where its layout is new. A COCO set that is nobody's in particular is
described by a file `source.json` in its folder.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.detector.categories import CLASSES, DEEPFASHION2, FASHIONPEDIA, K_FASHION, MODANET, SAME
from models.detector.readers import (
    Annotated,
    read_coco,
    read_deepfashion2,
    read_fashionpedia,
    read_k_fashion,
    read_modanet,
)
from models.errors import DataError

SOURCE_FILE: Final = "source.json"


@dataclass(frozen=True)
class Maker:
    """What is known of a set before its folder is opened."""

    read: Callable[[Path], Iterator[Annotated]]
    classes: Mapping[str, str]  # the maker's class names → ours; the others are dropped
    licence: str  # of the annotations
    commercial: bool  # may the trained model be used commercially?


@dataclass(frozen=True)
class Source:
    """One annotated set on disk."""

    name: str  # letters, digits and dashes: it becomes part of file names
    folder: Path
    maker: Maker


MAKERS: Final[Mapping[str, Maker]] = {
    "modanet": Maker(read_modanet, MODANET, "CC BY-NC 4.0", commercial=False),
    "fashionpedia": Maker(read_fashionpedia, FASHIONPEDIA, "CC BY 4.0", commercial=True),
    "deepfashion2": Maker(read_deepfashion2, DEEPFASHION2, "non-commercial research only", commercial=False),
    # Its terms name conditions (registration, use within Korea) that nobody here can tick off for the user.
    "k-fashion": Maker(read_k_fashion, K_FASHION, "AI-Hub's terms of use", commercial=False),
    "street": Maker(
        partial(read_coco, annotations="boxes_coco.json", images="."),
        SAME,
        "see the folder's own README",
        commercial=False,
    ),
}


class SourceFile(BaseModel):
    """`source.json`: a COCO set of the user's own."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(pattern=r"^[a-z0-9-]+$", description="becomes part of file names")
    categories: dict[str, str] = Field(min_length=1, description="the set's class names → ours; others are dropped")
    annotations: str = Field("annotations.json", description="COCO instances file")
    images: str = Field("images", description="folder that its `file_name` is relative to")
    licence: str = Field(description="of the annotations")
    commercial: bool = Field(False, description="may the trained model be used commercially?")


def source(name: str, folder: Path) -> Source:
    """A set of a known maker. Raises `DataError` for an unknown name."""
    if name not in MAKERS:
        raise DataError(f"no source {name!r}; there are {', '.join(MAKERS)}")
    return Source(name, folder, MAKERS[name])


def configured(folder: Path) -> list[Source]:
    """The COCO sets that `source.json` describes, in a folder itself and in those directly below it.

    Raises:
        DataError: there is none, or one is wrong: each broken field, its rule and its value are named.
    """
    found = [path for path in (folder, *sorted(folder.iterdir())) if (path / SOURCE_FILE).is_file()]
    if not found:
        raise DataError(f"{folder} holds no {SOURCE_FILE}, nor does a folder in it")
    return [_configured(path) for path in found]


def _configured(folder: Path) -> Source:
    path = folder / SOURCE_FILE
    try:
        said = SourceFile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg']} (got {item['input']!r:.80})" for item in error.errors()
        ]
        raise DataError(f"{path}: {'; '.join(lines)}") from error
    strange = sorted(set(said.categories.values()) - set(CLASSES))
    if strange:
        raise DataError(f"{path}: categories: must map to {', '.join(CLASSES)}, got {', '.join(strange)}")
    read = partial(read_coco, annotations=said.annotations, images=said.images)
    return Source(said.name, folder, Maker(read, said.categories, said.licence, said.commercial))
