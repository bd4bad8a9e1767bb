"""One photo: people in their clothes, in front of a background, through a camera, with the true boxes."""

from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from sandbox.drawing import camera
from sandbox.drawing.backdrop import backdrop
from sandbox.drawing.body import CROWN, FLOOR, View, draw_person
from sandbox.drawing.canvas import DrawnPhoto, Scene
from sandbox.drawing.dresser import Look, draw_figure, dress_up
from sandbox.posts import Photo

_OPENING: Final = (0.1, 0.2)  # of outerwear, head heights: a strip of what is under it
_FOREGROUND_RATE: Final = 0.1  # photos with leaves before the lens


def _view(photo: Photo, rng: np.random.Generator) -> View:
    """Choose how large and where the person is, by the photo's framing."""
    top, low, fill = {
        "full": (CROWN - 0.3, FLOOR, rng.uniform(0.86, 1.0)),
        "mirror": (CROWN - 0.3, rng.uniform(4.8, FLOOR), rng.uniform(0.9, 1.0)),
        "upper": (CROWN - rng.uniform(0.1, 0.4), rng.uniform(2.7, 3.5), 1.0),
        "lower": (rng.uniform(1.2, 1.5), FLOOR + 0.1, 1.0),
        "feet": (rng.uniform(2.2, 3.0), FLOOR + 0.15, 1.0),
    }[photo.framing]
    scale = float(photo.height * fill / (low - top))
    room = photo.height - scale * (low - top)
    x = photo.width * float(rng.uniform(0.42, 0.58))
    return View(x, float(rng.uniform(0.2, 0.9)) * room - scale * top, scale)


def _bystander(scene: Scene, look: Look, rng: np.random.Generator) -> None:
    """Draw somebody else: smaller, at a side of the photo, whose lower edge cuts the legs."""
    width, height = scene.image.size
    scale = height / float(rng.uniform(8.5, 10.0))
    x = float(rng.choice([rng.uniform(0.08, 0.16), rng.uniform(0.84, 0.92)])) * width
    view = View(x, height * float(rng.uniform(0.4, 0.48)), scale)
    dress_up(scene, look, draw_figure(rng, draw_person(rng), view, phone=False, opening=0.3))


def _foreground(image: Image.Image, rng: np.random.Generator) -> None:
    """Let a leaf or a rail cut into a side of the picture."""
    draw, (width, height) = ImageDraw.Draw(image), image.size
    x, y = float(rng.choice([0, width])), float(rng.uniform(0.2, 1.0)) * height
    for k in range(5):
        tip = (x + float(rng.uniform(-0.2, 0.2)) * width, y - float(rng.uniform(0.1, 0.3)) * height)
        draw.line((x, y + 9 * k, *tip), fill=(60, 104 + 8 * k, 62), width=int(rng.integers(5, 12)))


def draw_photo(
    look: Look,
    photo: Photo,
    body: np.random.Generator,
    rng: np.random.Generator,
    *,
    stranger: Look | None = None,
    ai_made: bool = False,
    boxes_only: bool = False,
) -> DrawnPhoto:
    """Draw one photo of a person who wears `look`.

    `body` draws the person and is the same for all photos of a post; `rng` draws the rest. With `stranger`, somebody
    in those clothes stands behind. With `boxes_only` the picture has no background and no camera's mark, which takes
    half the time and gives the same boxes.
    """
    mirror, size = photo.framing == "mirror", (photo.width, photo.height)
    place, people, lens = rng.spawn(3)
    scene = Scene(Image.new("RGB", size) if boxes_only else backdrop(size, place, mirror=mirror), place)
    person, opening = draw_person(body), round(float(body.uniform(*_OPENING)), 2)
    if stranger:
        _bystander(scene, stranger, people)
    dress_up(scene, look, draw_figure(people, person, _view(photo, people), phone=mirror, opening=opening))
    if boxes_only:
        return DrawnPhoto(scene.image, scene.boxes())
    scene.crease()
    if lens.random() < _FOREGROUND_RATE:
        _foreground(scene.image, lens)
    image = camera.shoot(scene.image, lens)
    return DrawnPhoto(camera.gloss(image) if ai_made else image, scene.boxes())
