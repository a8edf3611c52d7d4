"""The best path, against every path counted one by one."""

from __future__ import annotations

import pytest
from paths import (
    NO_FRAMES,
    path_log_probs,
    paths_and_texts,
    small_cases,
)

from crnnocr.decoding import Hypothesis
from crnnocr.decoding.hypothesis import greedy


def test_greedy_takes_the_best_path_of_all() -> None:
    for log_probs in small_cases(200):
        _, texts, owner = paths_and_texts(*log_probs.shape)
        all_paths = path_log_probs(log_probs)
        found = greedy(log_probs)
        assert found.ids == texts[owner[all_paths.argmax()]]
        assert found.log_prob == pytest.approx(float(all_paths.max()), rel=0, abs=1e-9)


def test_without_frames_greedy_reads_the_empty_text() -> None:
    assert greedy(NO_FRAMES) == Hypothesis((), 0.0)
