"""What the perceptual audit finds: re-encoded, scaled pictures of a dataset among as many that it never saw.

Takes the data folders of two finished demos of different seeds. The "benchmark" is drawn from both: each picture scaled
to 0.4-0.9 of its size and encoded again at quality 50-85. Only those of the first folder should be found. Beside
it, an audit by equal perceptual hash; equal bytes would find nothing.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from curation.audit import audit
from curation.crawled import pictures_by_sha
from curation.hashing import perceptual_hash
from curation.images import decode, encode_jpeg
from curation.tables import ShardedTable

_COLUMNS: Final = {"photos": "anchor_sha256", "thumbnails": "positive_sha256"}


def main() -> None:
    """Print a table and its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data folder with a dataset")
    parser.add_argument("other", type=Path, help="data folder of another seed")
    parser.add_argument(
        "--pictures", type=int, default=200, help="of each kind and folder (default 200), if it has so many"
    )
    options = parser.parse_args()
    for data in (options.data, options.other):
        if not (data / "pair_dataset").is_dir():
            parser.error(f"{data} holds no pair_dataset; name the data folder of a finished demo")
    with tempfile.TemporaryDirectory(prefix="fashion-audit-") as folder:
        for name, data in (("ours", options.data), ("theirs", options.other)):
            _draw(data, Path(folder), name, options.pictures)
        drawn = {path.name for path in Path(folder).iterdir()}
        start = time.monotonic()
        report = audit(Path(folder), options.data, remove=False, name="benchmark")
        seconds = time.monotonic() - start
        found = {overlap["file"] for overlap in report["overlaps"]}
        plain = _by_hash(options.data, Path(folder))
    figures: dict[str, float] = {"pictures": report["pictures"], "seconds": round(seconds, 1)}
    print(f"{'':<22}{'audit':>8}{'equal hash':>12}")
    for name in ("ours", "theirs"):
        for kind in _COLUMNS:
            prefix = f"{name}-{kind}"
            count = _count(drawn, prefix)
            shares = [_count(files, prefix) / count for files in (found, plain)]
            print(f"{prefix:<22}{shares[0]:>8.3f}{shares[1]:>12.3f}")
            figures[prefix] = round(shares[0], 4)
    print(json.dumps(figures))


def _draw(data: Path, out: Path, name: str, count: int) -> None:
    draw = random.Random(0)
    for kind, digest, picture in _chosen(data, count, draw):
        image = decode(picture)
        scale = draw.uniform(0.4, 0.9)
        small = image.resize((round(image.width * scale), round(image.height * scale)))
        (out / f"{name}-{kind}-{digest}.jpg").write_bytes(encode_jpeg(small, draw.randint(50, 85)))


def _chosen(data: Path, count: int, draw: random.Random) -> Iterator[tuple[str, str, bytes]]:
    """(kind, sha256, bytes) of some pictures of the dataset."""
    dataset = ShardedTable((data / "pair_dataset").resolve())
    for kind, column in _COLUMNS.items():
        every = sorted(set(dataset.table([column])[column].to_pylist()))
        pictures = pictures_by_sha(ShardedTable(data / "crawl" / "posts"), draw.sample(every, min(count, len(every))))
        yield from ((kind, digest, pictures[digest]) for digest in sorted(pictures))


def _count(files: set[str], prefix: str) -> int:
    return sum(file.startswith(prefix) for file in files)


def _by_hash(data: Path, folder: Path) -> set[str]:
    """Files whose perceptual hash is one of the dataset's."""
    table = ShardedTable((data / "pair_dataset").resolve()).table(["anchor_phash", "positive_phash"])
    known = {value for column in table.column_names for value in table[column].to_pylist()}
    return {path.name for path in folder.iterdir() if perceptual_hash(decode(path.read_bytes())) in known}


if __name__ == "__main__":
    main()
