"""The schedule of the learning rate."""

import pytest

from models.optimisers import one_cycle


def test_one_cycle__rises_then_falls():
    factors = [one_cycle(step, 100, 0.1) for step in range(101)]
    assert factors[0] == pytest.approx(0.01)
    assert max(factors) == factors[10] == 1.0
    assert factors == sorted(factors[:11]) + sorted(factors[11:], reverse=True)
    assert factors[100] == pytest.approx(0.01)
