"""Hashing of encoded pictures: exact and fast mode beside imagehash and imagededup, and how far the fast one is off.

Pictures are photos of the drawn world: as they are served, and enlarged to what phones upload. `--photos FOLDER` takes
the JPEGs of a folder too. Times are the processor's, of one thread.
"""

import argparse
import importlib.util
import io
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import imagehash
import numpy as np
from PIL import Image

from curation.hashing import Mode, describe_bytes, pack_bits, perceptual_hash
from curation.images import decode, decode_reduced, encode_jpeg
from sandbox.world import World

Way = Callable[[bytes], int]

_SEED: Final = 7
_PHONE: Final = (1080, 1350)
_TOLD: Final = "drawn 1080×1350"  # the set whose figures are told
_NEAR: Final = 2  # bits


def _library(data: bytes) -> int:
    return pack_bits(imagehash.phash(Image.open(io.BytesIO(data))).hash)


def _imagededup(data: bytes) -> int:
    from imagededup.methods import PHash

    return int(PHash(verbose=False).encode_image(image_array=np.asarray(Image.open(io.BytesIO(data)))), 16)


_WAYS: Final[dict[str, Way]] = {
    "imagehash.phash": _library,
    "exact, pHash alone": lambda data: perceptual_hash(decode(data)),
    "exact, whole row": lambda data: int(describe_bytes(data, Mode.EXACT)["phash"]),
    "fast, pHash alone": lambda data: perceptual_hash(decode_reduced(data, 128)[0]),
    "fast, whole row": lambda data: int(describe_bytes(data, Mode.FAST)["phash"]),
    "imagededup PHash": _imagededup,
}


def main() -> None:
    """Time every way on every set, print a table, and the figures of the largest drawn pictures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hashing", description=__doc__)
    parser.add_argument("--pictures", type=int, default=60, help="of each set")
    parser.add_argument("--photos", type=Path, help="folder of JPEGs to hash too")
    options = parser.parse_args()
    drawn = list(drawn_photos(options.pictures))
    sets = {"drawn 384×512": drawn, _TOLD: [enlarged(data) for data in drawn]}
    if options.photos:
        files = sorted(options.photos.rglob("*.jpg"))
        sets[options.photos.name] = [file.read_bytes() for file in files[:: max(1, len(files) // options.pictures)]]
    ways = {name: way for name, way in _WAYS.items() if "dedup" not in name or importlib.util.find_spec("imagededup")}
    print(f"{'pictures':<18}{'way':<22}{'ms':>8}{'× imagehash':>13}{'identical':>11}{'≤ 2 bits':>10}{'worst':>7}")
    figures: dict[str, float] = {}
    within: dict[str, float] = {}
    for name, pictures in sets.items():
        seconds, off = _measure(ways, pictures)
        for way in ways:
            ratio, bits = seconds["imagehash.phash"] / seconds[way], off[way]
            near = float((bits <= _NEAR).mean())
            shares = f"{(bits == 0).mean():>11.3f}{near:>10.3f}{bits.max():>7}"
            print(f"{name:<18}{way:<22}{1000 * seconds[way]:>8.2f}{ratio:>13.2f}{shares}", flush=True)
            if name == _TOLD:
                figures[way], within[way] = round(ratio, 2), round(near, 3)
    print(
        json.dumps(
            {
                "fast_vs_imagehash": figures["fast, pHash alone"],
                "exact_vs_imagehash": figures["exact, pHash alone"],
                "fast_within_2_bits": within["fast, pHash alone"],
            }
        )
    )


def _measure(ways: dict[str, Way], pictures: list[bytes]) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Mean seconds of each way, and the bits by which each of its hashes is off imagehash's."""
    for way in ways.values():
        way(pictures[0])  # imports and tables
    seconds = dict.fromkeys(ways, 0.0)
    hashes: dict[str, list[int]] = {name: [] for name in ways}
    for data in pictures:
        for name, way in ways.items():
            start = time.process_time()
            hashes[name].append(way(data))
            seconds[name] += (time.process_time() - start) / len(pictures)
    right = np.array(hashes["imagehash.phash"], np.uint64)
    return seconds, {name: np.bitwise_count(np.array(found, np.uint64) ^ right) for name, found in hashes.items()}


def drawn_photos(count: int) -> Iterable[bytes]:
    """Photos of the drawn world as they are served, 384×512 px."""
    world = World(_SEED, 2 * count)
    posts = (post for posts in world.posts.values() for post in posts.values() if not post.gone)
    usable = (post for post in posts if post.photos[0].fault is None and post.photos[0].orientation == 1)
    for post, _ in zip(usable, range(count), strict=False):
        yield world.photo(post.site, post.post_id, 0)


def enlarged(data: bytes) -> bytes:
    """A photo as phones upload it, 1080×1350 px."""
    return encode_jpeg(decode(data).resize(_PHONE, Image.Resampling.BICUBIC), quality=88)


if __name__ == "__main__":
    main()
