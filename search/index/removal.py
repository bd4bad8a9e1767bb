"""Products out of an index for good: a version without them is swapped in, and those with them are deleted."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from search.index.build import write_without
from search.index.segment import holds
from search.index.versions import current_version, forget, segment_folder, versions, writing


def remove_products(root: Path, products: Collection[str], pictures: Collection[str]) -> dict[str, int]:
    """Delete every version that holds one of them; where that was the version in use, a new one takes its place first.

    The new one is made of the other rows of the version in use: embeddings may be of another encoder by now. A service
    that has a deleted version open keeps answering from memory: restart it.

    Args:
        root: folder of the index.
        products: ids as in the index, `<site>-<the site's own id>`.
        pictures: sha256 of thumbnails.

    Returns:
        Version that was deleted → how many of their rows it held, dead ones too.

    Raises:
        IndexMissingError: the version in use is damaged: build another one first.
        IndexBuildError: nothing would be left, or recall falls under what is promised. Nothing is deleted then.
    """
    with writing(root):
        made = {manifest.version: manifest for manifest in versions(root)}
        held = {
            name: holds(segment_folder(root, name), products, pictures)
            for name in {name for manifest in made.values() for name in manifest.segments}
        }
        holding = {
            name: int(count.sum())
            for name, old in made.items()
            if (count := np.concatenate([held[part] for part in old.segments])).any()
        }
        used = current_version(root)
        if used in holding:
            write_without(root, np.flatnonzero(np.concatenate([held[part] for part in made[used].segments])))
        for name in holding:
            forget(root, name)
    return holding
