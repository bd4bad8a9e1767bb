"""Retrieval measures against hand-made rankings."""

import math

import numpy as np
import pytest

from models.encoder.evaluate import Embedded, compare_measures, mean_of, per_query, summarise, with_misses
from models.errors import MetricError


def embedded(degrees, labels, categories=None):
    angle = np.radians(degrees)
    vectors = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)
    return Embedded(vectors, np.array(labels), np.array(categories or ["top"] * len(labels)))


def test_per_query__ranks_by_angle():
    gallery = embedded([0, 10, 20, 30, 40, 50], list("abcdef"))
    result = per_query(embedded([1, 27, 100], ["a", "b", "a"]), gallery)
    assert result["rank"].tolist() == [1, 4, 6]
    assert result["r@1"].tolist() == [1, 0, 0]
    assert result["r@5"].tolist() == [1, 1, 0]
    assert result["r@10"].tolist() == [1, 1, 1]
    np.testing.assert_allclose(result["mrr"], [1, 1 / 4, 1 / 6])
    np.testing.assert_allclose(result["map"], result["mrr"])  # one right picture each
    np.testing.assert_allclose(result["ndcg"], [1, 1 / math.log2(5), 1 / math.log2(7)])


def test_per_query__several_right_pictures():
    gallery = embedded([0, 10, 20, 30], list("abab"))
    result = per_query(embedded([0], ["b"]), gallery)
    assert result["rank"].tolist() == [2]
    np.testing.assert_allclose(result["map"], [(1 / 2 + 2 / 4) / 2])
    ideal = 1 + 1 / math.log2(3)
    np.testing.assert_allclose(result["ndcg"], [(1 / math.log2(3) + 1 / math.log2(5)) / ideal])


def test_per_query__category_filter():
    gallery = embedded([0, 5], ["x", "y"], ["bag", "top"])
    query = embedded([0], ["y"], ["top"])
    assert per_query(query, gallery)["r@1"].tolist() == [1]
    assert per_query(query, gallery, by_category=False)["r@1"].tolist() == [0]


def test_per_query__ties_count_against_the_encoder():
    gallery = embedded([0, 0, 0], ["a", "b", "c"])
    assert per_query(embedded([0, 0], ["a", "c"]), gallery)["rank"].tolist() == [3, 3]


def test_per_query__equals_plain_loops(monkeypatch):
    draw = np.random.default_rng(0)
    gallery = embedded(draw.uniform(0, 360, 40), draw.integers(0, 15, 40), draw.choice(["a", "b"], 40).tolist())
    rows = draw.integers(0, 40, 25)
    queries = Embedded(
        embedded(draw.uniform(0, 360, 25), [0] * 25).vectors, gallery.labels[rows], gallery.categories[rows]
    )
    monkeypatch.setattr("models.encoder.evaluate._SCORES_AT_ONCE", 30)  # several blocks
    result = per_query(queries, gallery)
    for q in range(25):
        pool = [i for i in range(40) if gallery.categories[i] == queries.categories[q]]
        ranked = sorted(pool, key=lambda i, q=q: -float(gallery.vectors[i] @ queries.vectors[q]))
        hits = [position for position, i in enumerate(ranked, 1) if gallery.labels[i] == queries.labels[q]]
        assert result["rank"][q] == hits[0]
        assert result["map"][q] == pytest.approx(np.mean([n / hit for n, hit in enumerate(hits, 1)]))
        gains = [[1 / math.log2(place + 1) for place in places] for places in (hits, range(1, len(hits) + 1))]
        assert result["ndcg"][q] == pytest.approx(sum(gains[0]) / sum(gains[1]))
        assert [result[f"r@{k}"][q] for k in (1, 5, 10, 20)] == [hits[0] <= k for k in (1, 5, 10, 20)]


def test_per_query__product_not_in_the_gallery():
    with pytest.raises(MetricError, match=r"'z' is not in the gallery of top"):
        per_query(embedded([0], ["z"]), embedded([0], ["a"]))


def test_per_query__no_query():
    with pytest.raises(MetricError, match="no query"):
        per_query(embedded([], []), embedded([0], ["a"]))


def test_embedded__unequal_lengths():
    with pytest.raises(MetricError, match=r"\(1, 2, 1\)"):
        Embedded(np.zeros((1, 2), np.float32), np.array(["a", "b"]), np.array(["top"]))


def test_with_misses__product_filed_elsewhere_gets_nothing():
    gallery = embedded([0, 5, 90], ["x", "y", "z"], ["bag", "top", "top"])
    measures, outside = with_misses(embedded([0, 5], ["x", "y"], ["top", "top"]), gallery)
    assert outside.tolist() == [True, False]
    assert measures["rank"].tolist() == [3, 1]
    assert [measures[name].tolist() for name in ("r@20", "ndcg", "map")] == [[0, 1]] * 3
    assert with_misses(embedded([0], ["x"], ["top"]), gallery)[0]["mrr"].tolist() == [0]


def test_summarise__means_and_groups():
    measures = {"rank": np.array([1.0, 2, 9]), "r@1": np.array([1.0, 0, 0])}
    result = summarise(measures, np.array(["bag", "top", "top"]), np.array(["p", "q", "q"]), rounds=200)
    assert mean_of(result, "r@1") == pytest.approx(1 / 3)
    assert (result["overall"]["queries"], result["overall"]["clusters"]) == (3, 2)
    assert result["overall"]["r@1"]["low"] <= 1 / 3 <= result["overall"]["r@1"]["high"]
    assert result["by_category"]["bag"]["r@1"] == {"mean": 1.0, "low": 0.0, "high": 1.0}  # one query says little
    assert result["by_category"]["top"]["queries"] == 2


def test_compare_measures__every_measure_but_the_rank():
    ours, theirs = (per_query(embedded([angle, 40], ["a", "b"]), embedded([0, 50], ["a", "b"])) for angle in (5, 45))
    result = compare_measures(ours, theirs, np.array(["a", "b"]))
    assert (result["r@1"]["mean"], result["r@1"]["better"], result["r@1"]["worse"]) == (0.5, 1, 0)
    assert result["mrr"]["mean"] == 0.25
    assert "rank" not in result
