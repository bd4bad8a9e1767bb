"""Most doubtful first, each pair to one reviewer, and no verdict lost."""

import shutil
import threading
import time
from pathlib import Path
from unittest.mock import patch

import pytest

from curation.doubts import PLACE
from curation.republish import republish
from curation.review import Decision, Verdict, VerdictLog, read_verdicts
from search.errors import BadRequestError, NotFoundError
from search.review import ReviewQueue
from search.review.pairs import Doubt
from search.review.queue import HELD, Progress
from tests.search.review.conftest import lose_pictures, prepared


def _ids(queue: ReviewQueue, reviewer: str, count: int = 10) -> list[str]:
    return [pair.id for pair in queue.next(reviewer, count)]


def _verdict(pair: Doubt, decision: Decision) -> Verdict:
    return Verdict(pair.anchor_sha256, pair.box, pair.positive_sha256, decision, "label-studio/1")


def test_next__most_doubtful_first_and_held_for_one(data: Path) -> None:
    now = [0.0]
    queue = prepared(ReviewQueue(data, clock=lambda: now[0]))
    doubts = [pair.noise for pair in queue.next("ann", 10)]
    assert doubts == sorted(doubts, reverse=True)
    assert len(doubts) == 8
    assert _ids(queue, "bob") == []
    now[0] = HELD
    first = _ids(queue, "bob", 3)
    assert first == [pair.id for pair in queue.next("bob", 3)]
    assert len(_ids(queue, "ann")) == 5


def test_draw__a_pair_without_pictures_is_not_given_out_again(data: Path, queue: ReviewQueue) -> None:
    first, second = queue.next("ann", 2)
    queue.say(first.id, Decision.ACCEPT, "ann")
    lose_pictures(data, first.post_id)
    for _ in range(2):
        with pytest.raises(NotFoundError, match=first.id):
            queue.draw(first.id, queue.pictures.thumbnail)
    assert queue.draw(second.id, queue.pictures.thumbnail)
    assert queue.progress() == Progress(7, 0, 0, 0)
    with pytest.raises(NotFoundError):  # no verdict on what nobody can look at
        queue.say(first.id, Decision.WITHDRAW, "ann")
    assert second.id == _ids(queue, "ann")[0]


def test_say__on_disk_at_once_counted_and_taken_back(data: Path, queue: ReviewQueue) -> None:
    first, second, third, *_ = _ids(queue, "ann")
    queue.say(first, Decision.REJECT, "ann")
    queue.say(second, Decision.ACCEPT, "ann", category="bag")
    queue.say(third, Decision.UNSURE, "ann", category="hat")  # its own: no correction
    said = read_verdicts(data / "review" / "verdicts")
    assert [(verdict.decision, verdict.category) for verdict in said] == [
        ("reject", None),
        ("accept", "bag"),
        ("unsure", None),
    ]
    assert queue.progress() == Progress(8, 3, 1, 1)
    assert not {first, second, third} & set(_ids(queue, "ann"))
    queue.say(first, Decision.WITHDRAW, "ann")
    assert first in _ids(queue, "ann")
    assert queue.progress().rejected == 0


def test_say__ones_own_verdicts_are_not_read_again(data: Path, queue: ReviewQueue) -> None:
    log = VerdictLog(data / "review" / "verdicts")
    pairs = queue.next("ann", 10)
    with patch("search.review.queue.read_verdicts", wraps=read_verdicts) as read:
        for pair in pairs[:3]:
            queue.say(pair.id, Decision.ACCEPT, "ann")
        queue.say(pairs[0].id, Decision.REJECT, "ann")
        queue.say(pairs[1].id, Decision.WITHDRAW, "ann")
        assert queue.progress() == Progress(8, 2, 1, 1)
        assert read.call_count == 0
        log.append([_verdict(pairs[4], Decision.REJECT)])
        queue.say(pairs[5].id, Decision.ACCEPT, "ann")
        assert queue.progress() == Progress(8, 4, 2, 2)
        assert read.call_count == 1
        log.append([_verdict(pairs[6], Decision.REJECT)])
        assert queue.progress() == prepared(ReviewQueue(data)).progress() == Progress(8, 5, 2, 3)


def test_say__bad(queue: ReviewQueue) -> None:
    with pytest.raises(NotFoundError, match="no pair"):
        queue.say("0" * 16, Decision.ACCEPT, "ann")
    with pytest.raises(BadRequestError, match="category: must be one of"):
        queue.say(_ids(queue, "ann")[0], Decision.ACCEPT, "ann", category="sock")


def test_queue__two_services_and_four_reviewers_lose_nothing(data: Path, queue: ReviewQueue) -> None:
    queues = [queue, prepared(ReviewQueue(data))]
    every = [pair.id for pair in queue.next("eve", 10)]

    def review(number: int) -> None:
        for id in every:  # noqa: A001
            queues[number % 2].say(id, Decision.ACCEPT if number else Decision.REJECT, f"reviewer {number}")
            queues[number % 2].progress()

    threads = [threading.Thread(target=review, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = {(verdict.reviewer, verdict.anchor_sha256) for verdict in read_verdicts(data / "review" / "verdicts")}
    assert len(said) == 4 * 8
    assert [each.progress() for each in queues] == 2 * [Progress(8, 8, 8, 0)]  # three against one


def test_queue__takes_up_the_next_version_and_verdicts_of_others(data: Path, queue: ReviewQueue) -> None:
    rejected = queue.next("ann", 1)[0]
    queue.say(rejected.id, Decision.REJECT, "ann")
    assert republish(data)["rows"]["train"] == 7
    assert not queue.ready()
    prepared(queue)
    assert queue.progress() == Progress(7, 0, 0, 0)
    with pytest.raises(NotFoundError):
        queue.pair(rejected.id)
    VerdictLog(data / "review" / "verdicts").append([_verdict(queue.next("ann", 1)[0], Decision.ACCEPT)])
    assert queue.progress() == Progress(7, 1, 1, 0)


def test_queue__rough_order_at_once_until_every_pair_was_looked_at(data: Path) -> None:
    shutil.rmtree(data / PLACE)
    queue = prepared(ReviewQueue(data))
    rough = {pair.id: pair.noise for pair in queue.next("ann", 10)}
    assert [round(noise, 3) for noise in rough.values()] == [0.2] * 8  # what the verifier left open
    queue.say(first := next(iter(rough)), Decision.REJECT, "ann")
    deadline = time.monotonic() + 30
    while all(pair.noise == rough[pair.id] for pair in queue.next("ann", 10)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert queue.progress() == Progress(8, 1, 0, 1)
    noise = [pair.noise for pair in queue.next("ann", 10)]
    assert noise == sorted(noise, reverse=True)
    assert {pair.id for pair in queue.next("ann", 10)} == rough.keys() - {first}


def test_queue__no_dataset(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no pair dataset"):
        ReviewQueue(tmp_path).ready()
