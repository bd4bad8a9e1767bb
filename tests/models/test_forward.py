"""Batches on a device: halved where memory ends, in order, with the outputs of plain passes."""

import logging

import pytest
import torch  # noqa: TID253

from models.forward import Forward

CPU = torch.device("cpu")


class Small:
    """A device's memory that holds so many rows; doubles its input."""

    def __init__(self, most):
        self.most = most
        self.sizes = []

    def __call__(self, batch):
        self.sizes.append(len(batch))
        if len(batch) > self.most:
            raise torch.OutOfMemoryError("fake")
        return 2 * batch, batch.sum(1)


def outputs_of(run, groups):
    forward = Forward(run, CPU, "float32")
    return list(forward.each(groups, lambda group: (len(group), [(batch,) for batch in group])))


def batches(*sizes):
    return [torch.arange(3.0 * size).reshape(size, 3) for size in sizes]


def test_each__groups_of_batches_in_order():
    groups = [batches(2, 1), [], batches(4)]
    made = outputs_of(Small(9), groups)
    assert [tag for tag, _ in made] == [2, 0, 1]
    for group, (_, outputs) in zip(groups, made, strict=True):
        for batch, (doubled, sums) in zip(group, outputs, strict=True):
            torch.testing.assert_close(doubled, 2 * batch)
            torch.testing.assert_close(sums, batch.sum(1))


def test_each__halves_what_does_not_fit_and_goes_on_so(caplog):
    run = Small(3)
    (batch,) = batches(10)
    with caplog.at_level(logging.WARNING):
        ((_, [(doubled, sums)]), _) = outputs_of(run, [[batch], batches(2)])
    torch.testing.assert_close(doubled, 2 * batch)
    torch.testing.assert_close(sums, batch.sum(1))
    assert run.sizes == [10, 5, 2, 2, 2, 2, 2, 2]  # the last is the next group's
    assert "10 rows do not fit into the memory of cpu; going on with 5" in caplog.text


def test_each__one_row_that_does_not_fit():
    with pytest.raises(torch.OutOfMemoryError):
        outputs_of(Small(0), [batches(2)])


def test_each__other_errors_are_not_taken_for_memory():
    def broken(batch):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        outputs_of(broken, [batches(2)])


def test_each__bfloat16_where_asked():
    forward = Forward(torch.nn.Linear(3, 2), CPU, "bfloat16")
    ((_, [(found,)]),) = forward.each([None], lambda _: (None, [tuple(batches(2))]))
    assert found.dtype == torch.float32  # whatever it was computed in
