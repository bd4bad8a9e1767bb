"""Products out of an index for good: a version without them is swapped in, and those with them are deleted."""

from collections.abc import Collection
from pathlib import Path

from curation.tables import ShardedTable
from search.index.build import build_index
from search.index.products import check_without
from search.index.segment import holds
from search.index.versions import current_version, forget, segment_folder, versions, writing


def remove_products(
    root: Path, embeddings: ShardedTable, products: Collection[str], pictures: Collection[str]
) -> dict[str, int]:
    """Delete every version that holds one of them; where that was the version in use, a new one takes its place first.

    A service that has a deleted version open keeps answering from memory: restart it.

    Args:
        root: folder of the index.
        embeddings: the catalog's embeddings, already without these products.
        products: ids as in the index, `<site>-<the site's own id>`.
        pictures: sha256 of thumbnails.

    Returns:
        Version that was deleted → how many of their rows it held, dead ones too.

    Raises:
        IndexBuildError: the embeddings make no index, or still hold one of the products. Nothing is deleted then.
    """
    made = {manifest.version: manifest for manifest in versions(root)}
    held = {
        name: holds(segment_folder(root, name), products, pictures)
        for name in {name for manifest in made.values() for name in manifest.segments}
    }
    holding = {name: count for name, old in made.items() if (count := sum(held[part] for part in old.segments))}
    used = current_version(root)
    if used in holding:
        check_without(embeddings, products, pictures)
        old = made[used]
        build_index(embeddings, root, old.encoder_version, old.preprocessing)
    with writing(root):
        for name in holding:
            forget(root, name)
    return holding
