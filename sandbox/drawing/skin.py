"""The person under the clothes: trunk, limbs, face and hair as pieces, like the clothes."""

from functools import lru_cache

from sandbox.drawing.body import Person
from sandbox.drawing.palette import Colour, darker, lighter, mix
from sandbox.drawing.pieces import Part, Piece, oval, rectangle, smooth, symmetric

_SHORTS = (70, 70, 76)  # what a dressing-room figure wears under a dress


@lru_cache(8)
def limbs(skin: Colour) -> dict[str, Part]:
    """Return the skin of arms, legs and trunk by bone."""
    arm = Piece((-0.35, -0.3, 0.35, 2.85))
    arm.fill(
        symmetric(
            smooth([(0.1, -0.18), (0.22, 0.1), (0.18, 1.2), (0.17, 1.6), (0.11, 2.4), (0.15, 2.55), (0.12, 2.72)])
        ),
        skin,
    )
    leg = Piece((-0.45, -0.2, 0.45, 3.5))
    leg.fill(symmetric(smooth([(0.3, -0.1), (0.34, 0.3), (0.24, 1.6), (0.25, 2.0), (0.14, 3.0), (0.14, 3.25)])), skin)
    leg.fill(oval(0, 3.28, 0.19, 0.16), skin)
    trunk = Piece((-0.95, -0.5, 0.95, 2.7))
    side = [(0.17, -0.42), (0.18, -0.1), (0.5, 0.05), (0.84, 0.24), (0.68, 0.8), (0.56, 1.4), (0.7, 2.1), (0.5, 2.5)]
    trunk.fill(symmetric(smooth(side)), skin)
    trunk.ink(rectangle(-1, 1.7, 1, 2.7), _SHORTS)
    parts = {"spine": trunk.part("spine")}
    for hand in ("l", "r"):
        parts[f"arm_{hand}"] = arm.part(f"arm_{hand}")
        parts[f"leg_{hand}"] = leg.part(f"leg_{hand}")
    return parts


@lru_cache(32)
def head(person: Person, *, glasses: bool) -> tuple[Part, Part]:
    """Return the hair behind the head, and the face with the hair before it; both on the frame "head"."""
    return _back_hair(person), _face(person, glasses=glasses)


def _back_hair(person: Person) -> Part:
    low = {"long": 1.45, "bob": 0.75}.get(person.hair_style, 0.3)
    back = Piece((-0.7, -0.75, 0.7, 1.6))
    if person.hair_style == "bun":
        back.fill(oval(0.0, -0.42, 0.24, 0.22), person.hair)
    wide = 0.5 if person.hair_style in ("long", "bob") else 0.4
    back.fill(
        symmetric(
            smooth([(0.0, -0.38), (wide * 0.8, -0.26), (wide, 0.2), (wide * 0.95, low - 0.1), (wide * 0.6, low)])
        ),
        person.hair,
    )
    return back.part("head")


def _face(person: Person, *, glasses: bool) -> Part:
    face = Piece((-0.6, -0.6, 0.6, 0.95))
    skin, hair = person.skin, person.hair
    for side in (-1, 1):
        face.fill(oval(side * 0.37, 0.22, 0.07, 0.11), darker(skin, 0.08))
    face.fill(symmetric(smooth([(0.0, -0.34), (0.3, -0.2), (0.37, 0.15), (0.28, 0.52), (0.1, 0.7), (0.0, 0.72)])), skin)
    for side in (-1, 1):
        face.ink(oval(side * 0.15, 0.19, 0.05, 0.035), lighter(skin, 0.6))
        face.ink(oval(side * 0.15, 0.19, 0.032, 0.035), (34, 28, 28))
        face.line([(side * 0.08, 0.1), (side * 0.22, 0.09)], darker(hair, 0.2), 0.03)
        face.ink(oval(side * 0.22, 0.38, 0.07, 0.05), mix(skin, (230, 90, 90), 0.25))
        if glasses:
            face.ink(oval(side * 0.17, 0.2, 0.15, 0.12), (28, 28, 32))
    if glasses:
        face.line([(-0.36, 0.16), (0.36, 0.16)], (28, 28, 32), 0.03)
    face.line([(0, 0.22), (0.03, 0.36), (-0.02, 0.37)], darker(skin, 0.2), 0.02)
    face.line(smooth([(-0.1, 0.5), (0, 0.53), (0.1, 0.5)]), (176, 74, 78), 0.035)
    fringe = 0.02 if person.hair_style in ("bob", "long") else -0.1
    top = [(0.0, -0.42), (0.3, -0.34), (0.43, -0.05), (0.42, 0.22), (0.35, 0.2), (0.33, fringe - 0.02)]
    face.fill([*symmetric([*smooth(top[:4]), *top[4:]])], hair)
    face.fill(symmetric(smooth([(0.0, -0.42), (0.32, -0.32), (0.38, fringe - 0.05), (0.12, fringe)])), hair)
    return face.part("head")


def phone(colour: Colour) -> Part:
    """Return the back of a phone in a hand, on the frame "hand_r"."""
    piece = Piece((-0.3, -0.6, 0.3, 0.4))
    piece.fill(rectangle(-0.2, -0.5, 0.2, 0.28), colour)
    piece.ink(oval(-0.1, -0.38, 0.05, 0.05), (18, 18, 20))
    piece.ink(oval(-0.1, -0.24, 0.05, 0.05), (18, 18, 20))
    return piece.part("hand_r")


def cup(hand: str) -> Part:
    """Return a paper cup in a hand."""
    piece = Piece((-0.3, -0.5, 0.3, 0.4))
    piece.fill([(-0.15, -0.34), (0.15, -0.34), (0.11, 0.24), (-0.11, 0.24)], (236, 232, 224))
    piece.ink([(-0.14, -0.16), (0.14, -0.16), (0.12, 0.06), (-0.12, 0.06)], (150, 106, 72))
    return piece.part(f"hand_{hand}")
