"""A data folder with eight pairs, and what reviews it."""

import shutil
import time
from pathlib import Path

import pytest

from curation.doubts import make_doubts
from curation.tables import ShardedTable
from search.review import ReviewQueue
from tests.curation.data_folder import make_data, write_table


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = make_data(tmp_path_factory.mktemp("review") / "data", [1, 2, 3, 4, 6, 7, 8, 9])
    make_doubts(data, data / "pair_dataset")
    return data


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "data", symlinks=True))


@pytest.fixture
def queue(data: Path) -> ReviewQueue:
    return prepared(ReviewQueue(data))


def lose_pictures(data: Path, post: int) -> None:
    """Crawl again, and find that a post is gone."""
    posts = data / "crawl" / "posts"
    rows = [row for row in ShardedTable(posts).shards[0].table().to_pylist() if row["post_id"] != post]
    write_table(posts, "000000", rows)


def prepared(queue: ReviewQueue) -> ReviewQueue:
    """Wait until the pairs are there."""
    while not queue.ready():
        time.sleep(0.01)
    return queue
