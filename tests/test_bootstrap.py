"""Bootstrap intervals: beside the formulas that they approximate."""

from __future__ import annotations

import numpy as np
import pytest

from crnnocr.metrics import bootstrap


def test_the_interval_of_a_share_is_that_of_its_normal_approximation() -> None:
    # 300 of 1000: 0.3 ± 1.96 · sqrt(0.3 · 0.7 / 1000). 2000 resamples move a percentile by about 0.001.
    found = bootstrap.ratio([1] * 300 + [0] * 700, [1] * 1000)
    reach = 1.96 * np.sqrt(0.3 * 0.7 / 1000)
    assert found.value == pytest.approx(0.3)
    assert [found.low, found.high] == pytest.approx([0.3 - reach, 0.3 + reach], abs=0.003)


def test_the_interval_of_a_ratio_is_that_of_the_delta_method() -> None:
    rng = np.random.default_rng(1)
    lengths = rng.integers(5, 40, 3000)
    edits = rng.binomial(lengths, 0.05)
    found = bootstrap.ratio(edits, lengths)
    rate = edits.sum() / lengths.sum()
    deviation = (edits - rate * lengths).std() / lengths.mean() / np.sqrt(3000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * deviation, rel=0.06)


def test_intervals_cover_the_true_value_as_often_as_they_should() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(300):
        found = bootstrap.ratio(rng.random(150) < 0.2, np.ones(150))
        hits += found.low <= 0.2 <= found.high
    assert 0.91 <= hits / 300 <= 0.98  # 0.95 with a standard deviation of 0.013, and a little less for so few samples


def test_intervals_are_the_same_each_time_and_in_any_order() -> None:
    rng = np.random.default_rng(3)
    numerators, denominators = rng.integers(0, 3, 200), rng.integers(3, 9, 200)
    order = rng.permutation(200)
    assert bootstrap.ratio(numerators, denominators) == bootstrap.ratio(numerators[order], denominators[order])


def test_the_interval_of_equal_samples_is_a_point() -> None:
    assert bootstrap.ratio([1], [4]) == bootstrap.Estimate(0.25, 0.25, 0.25)
    assert bootstrap.ratio([0] * 50, [7] * 50) == bootstrap.Estimate(0, 0, 0)
    assert bootstrap.ratio([2, 2], [0, 0]).value == 4  # no reference characters to divide by


def test_differences_are_paired() -> None:
    """Both systems make the same many errors on hard samples: their own intervals overlap, but the paired one excludes 0."""
    rng = np.random.default_rng(4)
    hard = rng.poisson(3, 400)
    worse = hard + (rng.random(400) < 0.1)
    alone, other = bootstrap.ratio(hard, np.full(400, 10)), bootstrap.ratio(worse, np.full(400, 10))
    assert alone.high > other.low
    paired = bootstrap.difference(hard, np.full(400, 10), worse, np.full(400, 10))
    assert paired.is_significant
    assert paired.high < 0
    assert paired.above == 0
    same = bootstrap.difference(hard, np.full(400, 10), hard, np.full(400, 10))
    assert (same.value, same.low, same.high, same.above) == (0, 0, 0, 0.5)
