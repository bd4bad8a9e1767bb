"""Bodies: proportions, poses, and the skeleton that clothes are bent onto. Lengths are in head heights, y goes down."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from sandbox.drawing.palette import HAIR, SKIN, Colour
from sandbox.drawing.pieces import smooth
from sandbox.drawing.warp import Array, Bone, Frame, Skeleton

CROWN: Final = -1.32
"""Top of the head, above the base of the neck (0)."""
FLOOR: Final = 5.62
"""Under the soles."""
FOREHEAD: Final = -0.98
FOOT: Final = 1.3
"""Feet are drawn this much larger than life, so that shoes can be told apart."""
UPPER_ARM, FOREARM, HAND = 1.25, 1.15, 0.32
THIGH, SHIN = 1.65, 1.35
SHOULDER: Final = (0.8, 0.22)
HIP: Final = (0.36, 2.1)
HAIR_STYLES: Final = ("short", "bob", "long", "bun", "crop")


@dataclass(frozen=True)
class Limb:
    """Angles in degrees: of the first bone, outwards from hanging down, and of the second against the first."""

    first: float
    second: float


@dataclass(frozen=True)
class Pose:
    """A stance. "l" and "r" are the viewer's."""

    arm_l: Limb
    arm_r: Limb
    leg_l: Limb
    leg_r: Limb
    hips: float = 0.0  # sideways shift of the hips
    tilt: float = 0.0  # of the head, degrees
    lean: float = 0.0  # of the whole person, degrees
    feet: tuple[float, float] = (-1.0, 1.0)  # where the toes point: -1 left … 1 right; the size foreshortens
    hat_side: float = 1.0


@dataclass(frozen=True)
class Person:
    """What a person is like, apart from clothes. `girth` and `limbs` are factors of width."""

    skin: Colour
    hair: Colour
    hair_style: str
    girth: float
    limbs: float


MANNEQUIN: Final = Pose(Limb(14, -2), Limb(14, -2), Limb(3, 0), Limb(3, 0))
"""The pose of the shop's pictures of clothes laid flat."""
_ARMS: Final = {
    "hang": ((4, 16), (-14, 4)),
    "out": ((14, 24), (-10, 4)),
    "hip": ((30, 42), (-100, -84)),
    "front": ((8, 20), (-75, -50)),
    "phone": ((30, 44), (-168, -152)),
}
"""Ranges of the two angles by gesture."""
_SHARP: Final = 120.0
"""Bend of an elbow, degrees, beyond which the two halves of an arm overlap."""


def draw_person(rng: np.random.Generator) -> Person:
    """Draw skin, hair and build."""
    return Person(
        skin=SKIN[int(rng.integers(len(SKIN)))],
        hair=HAIR[int(rng.integers(len(HAIR)))],
        hair_style=HAIR_STYLES[int(rng.integers(len(HAIR_STYLES)))],
        girth=float(rng.uniform(0.88, 1.14)),
        limbs=float(rng.uniform(0.9, 1.12)),
    )


def _arm(rng: np.random.Generator, gesture: str) -> Limb:
    first, second = _ARMS[gesture]
    return Limb(float(rng.uniform(*first)), float(rng.uniform(*second)))


def draw_pose(rng: np.random.Generator, *, phone: bool) -> Pose:
    """Draw a stance; with `phone`, the viewer's right hand holds one up for a mirror selfie."""
    gestures = rng.choice(["hang", "out", "hip", "front"], size=2, p=[0.72, 0.16, 0.06, 0.06])
    toes = rng.uniform(0.7, 1.0, size=2)
    way = rng.random()
    turned = -1.0 if way < 0.15 else 1.0
    return Pose(
        arm_l=_arm(rng, str(gestures[0])),
        arm_r=_arm(rng, "phone" if phone else str(gestures[1])),
        leg_l=Limb(float(rng.uniform(0, 8)), float(rng.uniform(-8, 3))),
        leg_r=Limb(float(rng.uniform(0, 8)), float(rng.uniform(-8, 3))),
        hips=float(rng.uniform(-0.12, 0.12)),
        tilt=float(rng.uniform(-9, 9)),
        lean=float(rng.uniform(-5, 5)),
        feet=(turned * float(toes[0]), turned * float(toes[1])) if way < 0.3 else (-float(toes[0]), float(toes[1])),
        hat_side=-1.0 if rng.random() < 0.5 else 1.0,
    )


def _direction(side: float, degrees: float) -> Array:
    angle = np.radians(degrees)
    return np.array([side * np.sin(angle), np.cos(angle)])


def _joints(start: Array, side: float, limb: Limb, lengths: tuple[float, float]) -> tuple[Array, Array]:
    middle = start + lengths[0] * _direction(side, limb.first)
    return middle, middle + lengths[1] * _direction(side, limb.first + limb.second)


@dataclass(frozen=True)
class View:
    """Where the photo sees the person: pixels of the base of the neck, pixels per head height, turn in degrees."""

    x: float
    y: float
    scale: float
    turn: float = 0.0

    def pixels(self, points: Array) -> Array:
        """Map (n, 2) body points to pixels."""
        angle = np.radians(self.turn)
        spin = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return np.asarray(points @ spin * self.scale + (self.x, self.y))

    def vector(self, vector: Array) -> tuple[float, float]:
        """Map a body direction to a pixel direction."""
        x, y = self.pixels(np.stack([np.zeros(2), vector])).tolist()
        return y[0] - x[0], y[1] - x[1]


def _bone(view: View, points: list[Array], lengths: list[float], across: float) -> Bone:
    rows = [(float(x), float(y)) for x, y in points]
    curve = np.array(smooth(rows, 4))
    marks = np.array([y for _, y in smooth([(0.0, s) for s in lengths], 4)])
    return Bone(view.pixels(curve), marks, across * view.scale)


def skeleton(pose: Pose, view: View, girth: float = 1.0, limbs: float = 1.0) -> Skeleton:
    """Return every bone and frame of a posed person, in pixels."""
    hips = np.array([pose.hips, HIP[1]])
    bones: Skeleton = {}
    knees, ankles = [], []
    for name, side, limb in (("l", -1.0, pose.leg_l), ("r", 1.0, pose.leg_r)):
        start = hips + np.array([side * HIP[0] * girth, 0.0])
        knee, ankle = _joints(start, side, limb, (THIGH, SHIN))
        bones[f"leg_{name}"] = _bone(
            view, [start, (start + knee) / 2, knee, (knee + ankle) / 2, ankle],
            [0, THIGH / 2, THIGH, THIGH + SHIN / 2, THIGH + SHIN], (girth + limbs) / 2,
        )  # fmt: skip
        bones[f"foot_{name}"] = _foot(view, ankle, pose.feet[0 if name == "l" else 1])
        knees.append(knee)
        ankles.append(ankle)
    for name, side, limb in (("l", -1.0, pose.arm_l), ("r", 1.0, pose.arm_r)):
        bones |= _arm_bones(view, name, side, limb, girth, limbs)
    trunk = [np.zeros(2), np.array([0.02 * pose.hips, 0.8]), hips * (0.6, 0.69), hips]
    trunk += [np.mean(knees, axis=0), np.mean(ankles, axis=0)]
    bones["spine"] = _bone(view, trunk, [0, 0.8, 1.45, HIP[1], HIP[1] + THIGH, HIP[1] + THIGH + SHIN], girth)
    bones["head"] = _head(view, pose)
    return bones


def _arm_bones(view: View, name: str, side: float, limb: Limb, girth: float, limbs: float) -> Skeleton:
    start = np.array([side * SHOULDER[0] * girth, SHOULDER[1]])
    elbow, wrist = _joints(start, side, limb, (UPPER_ARM, FOREARM))
    way = (wrist - elbow) / FOREARM
    tip = wrist + HAND * way
    marks = [0, UPPER_ARM / 2, UPPER_ARM, UPPER_ARM + FOREARM / 2, UPPER_ARM + FOREARM]
    joints = [start, (start + elbow) / 2, elbow, (elbow + wrist) / 2, wrist]
    halves: Skeleton = {}
    if abs(limb.second) > _SHARP:
        halves[f"arm_{name}_upper"] = _bone(view, [start, elbow], [0, UPPER_ARM], limbs)
        halves[f"arm_{name}_fore"] = _bone(view, [elbow, wrist], [UPPER_ARM, UPPER_ARM + FOREARM], limbs)
    hand = view.pixels(np.stack([tip]))[0]
    crook = view.pixels(np.stack([elbow]))[0]
    down = view.vector(np.array([0.0, 1.0]))
    right = view.vector(np.array([1.0, 0.0]))
    return halves | {
        f"arm_{name}": _bone(view, joints, marks, limbs),
        f"hand_{name}": Frame((hand[0], hand[1]), right, down),
        f"crook_{name}": Frame((crook[0], crook[1]), right, down),
    }


def _foot(view: View, ankle: Array, toe: float) -> Frame:
    x, y = view.pixels(np.stack([ankle]))[0].tolist()
    drop = 0.12 * (1 - abs(toe))  # a foreshortened foot points a little towards the viewer
    return Frame((x, y), view.vector(np.array([toe * FOOT, drop])), view.vector(np.array([0.0, FOOT])))


def _head(view: View, pose: Pose) -> Frame:
    angle = np.radians(pose.tilt)
    up = np.array([np.sin(angle), -np.cos(angle)])
    x, y = view.pixels(np.stack([np.array([0.0, -0.25]) + up * (-FOREHEAD - 0.25)]))[0].tolist()
    right = np.array([np.cos(angle), np.sin(angle)]) * pose.hat_side
    return Frame((x, y), view.vector(right), view.vector(-up))
