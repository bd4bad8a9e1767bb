"""What the benchmark of recipes says of errors that there are none of."""

import json

import pytest

from benchmarks import recipe


def test_report__no_error_to_compare_with(capsys: pytest.CaptureFixture[str]) -> None:
    recipe._report({"ours": [0.0, 0.0], "prior": [0.2, 0.1], "per category": [0.1, 0.0]})
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "error_vs_prior": 0.0,
        "triplet_error_vs_prior": None,
        "per_category_error_vs_single": None,
    }
