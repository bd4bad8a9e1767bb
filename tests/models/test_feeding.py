"""Work done ahead: in order, bounded, and as honest about errors as a plain map."""

import threading
import time

import pytest

from models.feeding import ahead


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 20])
def test_ahead__is_map(count, threads):
    def slow_at_first(number):
        time.sleep(0.01 / (1 + number))
        return 2 * number

    assert list(ahead(range(count), slow_at_first, threads)) == [2 * number for number in range(count)]


def test_ahead__works_while_the_caller_does():
    begun = threading.Event()

    def make(number):
        if number == 1:
            begun.set()
        return number

    made = ahead(range(3), make)
    assert next(made) == 0
    assert begun.wait(5)  # nobody has asked for it yet


def test_ahead__is_bounded():
    made = []
    results = ahead(range(50), made.append, threads=2)
    for asked in range(1, 20):
        next(results)
        time.sleep(0.002)
        assert len(made) <= asked + 3


def test_ahead__an_error_comes_in_its_place():
    def make(number):
        if number == 2:
            raise ValueError("two")
        return number

    results = ahead(range(9), make, threads=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_ahead__given_up_ends_its_threads():
    before = threading.active_count()
    results = ahead(range(100), lambda number: number, threads=2)
    next(results)
    results.close()
    assert threading.active_count() == before
    assert "ahead" not in "".join(thread.name for thread in threading.enumerate())


def test_ahead__a_single_item_is_made_by_the_caller():
    assert list(ahead([1], lambda _: threading.current_thread())) == [threading.current_thread()]
