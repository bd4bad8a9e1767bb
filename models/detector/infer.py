"""A trained detector at work: pictures in, garments with boxes out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import torch  # noqa: TID253
from PIL import Image
from torch import Tensor, nn  # noqa: TID253
from transformers import AutoImageProcessor, AutoModelForObjectDetection  # noqa: TID253

from curation.taxonomy import CATEGORIES
from models.boxes import Detection, without_doubles
from models.checkpoint import open_checkpoint
from models.detector.categories import CLASSES
from models.device import Precision, computes_in_bfloat16, inference_precision, pick_device
from models.errors import CheckpointError
from models.forward import Forward
from models.pixels import random_input
from models.runtime import Engine, Inputs, Outputs, compile_for

if TYPE_CHECKING:
    from models.detector.data import DetectionPictures
    from models.detector.evaluate import Truth

SAME_CLASS_IOU: Final = 0.6
"""Two shoes side by side overlap less. On a tiny detector, dropping doubles above it gained 9 points of AP50."""
_PROBES: Final = ((2, 320, 256), (3, 256, 384))  # (rows, height, width) where pictures keep their proportions
_GROUP: Final = 16  # pictures of a split that are loaded together
_BOX_HEADS: Final = ("bbox_predictor", "bbox_embed")  # of Conditional DETR, of RT-DETR and D-FINE
_COMPARED: Final = 10  # boxes of a picture, the surest, of which each must be found by both networks

Group = TypeVar("Group")
Tag = TypeVar("Tag")


class Detector:
    """Finds garments of the seven kinds, or of twelve, in photos. `version` names its weights."""

    def __init__(
        self,
        model: Any,
        processor: Any,
        version: str,
        device: torch.device,
        precision: Precision = "float32",
        engine: Engine = "torch",
        cache: Path | None = None,
    ) -> None:
        """`engine` and `cache`: see `models.runtime.compile_for`; a network that still learns stays in torch."""
        labels = {int(index): name for index, name in model.config.id2label.items()}
        strange = sorted(set(labels.values()) - set(CLASSES))
        if strange:
            raise CheckpointError(f"detector has classes that are none of the twelve: {', '.join(strange)}")
        self.version = version
        self._labels = labels
        self._processor = processor
        self._names = _input_names(processor)
        network = Boxes(model.to(device).eval()).eval()
        if computes_in_bfloat16(device, precision):
            _place_in_float32(model)
        probes = [tuple(tensor.to(device) for tensor in probe) for probe in _probes(processor, self._names)]
        run = compile_for(network, probes, device, distance, precision=precision, engine=engine, cache=cache)
        self._forward = Forward(run, device, precision)

    @classmethod
    def load(
        cls, source: str | Path, device: str = "auto", precision: Precision | None = None, engine: Engine = "auto"
    ) -> Self:
        """Load a checkpoint directory or hub name. Raises `CheckpointError` as `open_checkpoint` does.

        `precision` None is `models.device.inference_precision`.
        """
        path, manifest = open_checkpoint(source, "detector")
        model = AutoModelForObjectDetection.from_pretrained(path, dtype=torch.float32)
        processor = AutoImageProcessor.from_pretrained(path)
        where = pick_device(device)
        return cls(model, processor, manifest.version, where, precision or inference_precision(where), engine, path)

    def detect(
        self,
        images: Sequence[Image.Image],
        threshold: float = 0.5,
        batch: int = 16,
    ) -> list[list[Detection]]:
        """Garments of the seven kinds in each RGB picture, best score first, doubles of one class dropped.

        Boxes of different classes may still overlap: see `models.boxes.suppress`.

        Args:
            images: of any sizes.
            threshold: smallest score that is returned, 0-1.
            batch: pictures per forward pass.
        """
        ((_, found),) = self.detect_each([images], lambda group: (None, group), threshold, batch)
        return found

    def detect_each(
        self,
        groups: Iterable[Group],
        load: Callable[[Group], tuple[Tag, Sequence[Image.Image]]],
        threshold: float = 0.5,
        batch: int = 16,
        classes: Sequence[str] = CATEGORIES,
    ) -> Iterator[tuple[Tag, list[list[Detection]]]]:
        """`detect` for groups of pictures; the next ones are loaded meanwhile.

        Within a group, pictures of like proportions share a pass, so that little is padded.

        Args:
            groups: whatever `load` takes.
            load: called in other threads: a group → what is wanted back with its detections, and its RGB pictures.
            threshold: as in `detect`, likewise `batch`.
            classes: what is returned; a detector of twelve classes finds more than the seven.
        """

        def prepare(group: Group) -> tuple[tuple[Tag, list[_Photo]], list[Inputs]]:
            tag, images = load(group)
            photos = sorted((_Photo(place, *image.size) for place, image in enumerate(images)), key=_Photo.shape)
            starts = range(0, len(photos), batch)
            return (tag, photos), [self._inputs([images[it.place] for it in photos[at : at + batch]]) for at in starts]

        for (tag, photos), batches in self._forward.each(groups, prepare):
            results = [
                result
                for part, outputs in zip(_parts(photos, batch), batches, strict=True)
                for result in self._results(part, outputs, threshold)
            ]
            found: list[list[Detection]] = [[] for _ in photos]
            for photo, result in zip(photos, results, strict=True):
                found[photo.place] = [item for item in self._detections(result) if item.category in classes]
            yield tag, found

    def detect_split(
        self, pictures: "DetectionPictures", threshold: float, classes: Sequence[str] = CATEGORIES
    ) -> "Iterator[tuple[Truth, list[Detection]]]":
        """True boxes and detections of every picture of a split, in order, as `detect_each` gives them."""

        def load(places: range) -> "tuple[list[Truth], list[Image.Image]]":
            samples = [pictures[place][0] for place in places]
            return [sample.truth() for sample in samples], [sample.image for sample in samples]

        groups = (range(len(pictures))[start : start + _GROUP] for start in range(0, len(pictures), _GROUP))
        for truths, found in self.detect_each(groups, load, threshold, classes=classes):
            yield from zip(truths, found, strict=True)

    def _inputs(self, images: Sequence[Image.Image]) -> Inputs:
        made = self._processor(images=list(images), return_tensors="pt")
        return tuple(made[name] for name in self._names)

    def _results(self, photos: "Sequence[_Photo]", outputs: Outputs, threshold: float) -> list[dict[str, Tensor]]:
        named = SimpleNamespace(logits=outputs[0], pred_boxes=outputs[1])
        sizes = torch.tensor([[photo.height, photo.width] for photo in photos])
        results: list[dict[str, Tensor]] = self._processor.post_process_object_detection(
            named, threshold=threshold, target_sizes=sizes
        )
        return results

    def _detections(self, result: Mapping[str, Tensor]) -> list[Detection]:
        rows = zip(result["labels"].tolist(), result["scores"].tolist(), result["boxes"].tolist(), strict=True)
        found = [Detection(self._labels[label], score, tuple(box)) for label, score, box in rows]
        return without_doubles(sorted(found, key=lambda item: -item.score), SAME_CLASS_IOU)


class Boxes(nn.Module):
    """A detection transformer, giving tensors only."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor, pixel_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Input (n, 3, height, width) and which of it is picture → logits (n, queries, classes), boxes (n, queries, 4)
        as centre and size, shares of the picture."""
        given = {} if pixel_mask is None else {"pixel_mask": pixel_mask}
        found = self.model(pixel_values=pixel_values, **given)
        return found.logits, found.pred_boxes


@dataclass(frozen=True, slots=True)
class _Photo:
    """A picture on its way through the network."""

    place: int  # in its group
    width: int  # px
    height: int  # px

    def shape(self) -> tuple[float, int]:
        """What pictures are sorted by: proportions, then size."""
        return self.width / self.height, self.height


def _place_in_float32(model: nn.Module) -> None:
    """Let the layers that say where boxes lie leave autocast: bfloat16 has three digits, places on a photo four."""

    def exact(run: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def forward(hidden: Tensor) -> Tensor:
            with torch.autocast(hidden.device.type, enabled=False):
                return run(hidden.float())

        return forward

    for name, head in model.named_modules():
        if name.rpartition(".")[2] in _BOX_HEADS:
            for part in head if isinstance(head, nn.ModuleList) else [head]:
                part.forward = exact(part.forward)


def distance(original: Outputs, converted: Outputs) -> float:
    """The farthest that one of the surest boxes of either network is from its like in the other.

    A box's distance is the largest difference of a coordinate, as a share of the picture, or of a class's score. Boxes
    are compared as sets: where several score alike, a two-stage network may give them in another order.
    """
    boxes = [torch.cat([logits.sigmoid(), places], 2) for logits, places in (original, converted)]
    scores = [logits.amax(2) for logits, _ in (original, converted)]
    far = (boxes[0][:, :, None] - boxes[1][:, None]).abs().amax(3)  # picture, query of the original, of the converted
    count = min(_COMPARED, far.shape[1])
    forth = far.amin(2).gather(1, scores[0].topk(count).indices)
    back = far.amin(1).gather(1, scores[1].topk(count).indices)
    return float(torch.maximum(forth, back).max())


def _probes(processor: Any, names: Sequence[str]) -> list[Inputs]:
    """Batches on which a converted network is compared, of two sizes if the processor keeps pictures' proportions."""
    size = dict(processor.size)
    fixed = size.get("height"), size.get("width")
    return [_probe(names, rows, *(fixed if all(fixed) else sides)) for rows, *sides in _PROBES]


def _probe(names: Sequence[str], rows: int, height: int, width: int) -> Inputs:
    mask = torch.ones(rows, height, width, dtype=torch.int64)
    mask[0, -height // 4 :] = 0  # the first picture is shorter than the others
    made = {"pixel_values": random_input(rows, height, width), "pixel_mask": mask}
    return tuple(made[name] for name in names)


def _input_names(processor: Any) -> list[str]:
    """What a processor makes of a picture; it names a mask also where it makes none."""
    made = processor(images=[Image.new("RGB", (8, 8))], return_tensors="pt")
    return [name for name in ("pixel_values", "pixel_mask") if name in made]


def _parts(photos: Sequence[_Photo], size: int) -> Iterator[Sequence[_Photo]]:
    return (photos[start : start + size] for start in range(0, len(photos), size))
