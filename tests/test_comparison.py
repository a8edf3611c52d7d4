"""The comparison of two systems: which is better, and whether that is significant."""

from __future__ import annotations

import pytest
from evaluations import outcome, result_of

from crnnocr.evaluation.comparison import compare


def test_equally_many_edits_in_every_sample_are_no_difference() -> None:
    found = compare("a", result_of([outcome("abc", "xbc")]), "b", result_of([outcome("abc", "abx")]))
    assert found.winner is None
    assert found.verdict == "both have the same number of errors in every image"


def test_a_significantly_better_system_wins() -> None:
    names = [f"{i}.png" for i in range(60)]
    first = result_of([outcome("abcd", "abcd" if i % 6 else "abxd", name=name) for i, name in enumerate(names)])
    second = result_of([outcome("abcd", "abcd" if i % 2 else "xxcd", name=name) for i, name in enumerate(names)])
    found = compare("new", first, "old", second)
    assert (found.only_first, found.only_second, found.n) == (20, 0, 60)
    assert found.mcnemar_p == pytest.approx(2 * 0.5**20)
    assert (len(found.better), len(found.worse)) == (30, 0)
    assert found.winner == "new"
    assert found.verdict == "new is significantly better than old: better in more than 99.95% of the resamples"
    assert compare("old", second, "new", first).verdict == found.verdict
    assert compare("a", first, "b", first).verdict == "both predict the same text for every image"


def test_fewer_than_six_samples_that_differ_have_no_winner() -> None:
    # All resamples of one sample are equal. A sign test on five is not significant: 2 · 0.5⁵ > 0.05.
    few = compare("a", result_of([outcome("abc", "abc")]), "b", result_of([outcome("abc", "abx")]))
    assert few.winner is None
    assert few.verdict.startswith("no significant difference on the 1 image that differs:")


def test_differences_both_ways_are_not_significant() -> None:
    names = [f"{i}.png" for i in range(40)]
    first = result_of([outcome("ab", "xb" if i < 4 else "ab", name=name) for i, name in enumerate(names)])
    second = result_of([outcome("ab", "xb" if 4 <= i < 9 else "ab", name=name) for i, name in enumerate(names)])
    found = compare("a", first, "b", second)
    assert not found.differences["cer"].is_significant
    assert found.winner is None
    assert found.verdict.startswith("no significant difference on the 9 images that differ: a is better in ")
    assert found.mcnemar_p == pytest.approx(1)
