"""The CTC forward algorithm and the best alignment, against every path counted one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from paths import (
    NO_FRAMES,
    SPACES,
    Text,
    all_texts_of_small_cases,
    best_path_frames,
    log,
    log_prob,
    mixed_lines,
    paths_and_texts,
    random_log_probs,
    small_cases,
    text_probs,
)

from crnnocr.decoding.forward import align, text_log_probs
from crnnocr.decoding.posteriors import posteriors
from crnnocr.text.charset import frames_needed


def test_a_text_is_as_probable_as_all_its_paths_together() -> None:
    for log_probs in small_cases(200):
        expected = text_probs(log_probs)
        found = {text: log_prob(log_probs, text) for text in expected}
        assert found == pytest.approx({text: math.log(p) for text, p in expected.items()}, rel=0, abs=1e-9)


def test_the_texts_that_fit_are_those_that_a_path_reads() -> None:
    for frames, classes in [(1, 4), (3, 3), (6, 3), (5, 4)]:
        _, readable, _ = paths_and_texts(frames, classes)
        texts = [text for n in range(frames + 1) for text in itertools.product(range(1, classes), repeat=n)]
        assert {text for text in texts if frames_needed(text) <= frames} == set(readable)


@pytest.mark.parametrize(("text", "frames"), [((), 0), ((1,), 1), ((1, 2, 1), 3), ((1, 1), 3), ((2, 2, 2, 1, 1), 8)])
def test_equal_neighbors_need_a_frame_for_the_blank_between_them(text: Text, frames: int) -> None:
    assert frames_needed(text) == frames


def test_without_frames_only_the_empty_text_is_possible() -> None:
    assert log_prob(NO_FRAMES, ()) == 0
    assert log_prob(NO_FRAMES, (1,)) == -np.inf


@pytest.mark.parametrize("text", [(), (1,), (1, 2), (1, 1), tuple(i % 3 + 1 for i in range(400)), (2,) * 300])
def test_a_long_flat_line_does_not_underflow(text: Text) -> None:
    # With all classes alike every path has probability C**-T, here e**-2773, and a text with L characters and R equal
    # neighbors has binomial(T + L - R, 2 L) paths: T - L - R frames to spread over 2 L + 1 characters and blanks.
    frames, classes = 2000, 4
    repeats = sum(a == b for a, b in itertools.pairwise(text))
    expected = math.log(math.comb(frames + len(text) - repeats, 2 * len(text))) - frames * math.log(classes)
    log_probs = np.full((frames, classes), -math.log(classes))
    assert log_prob(log_probs, text) == pytest.approx(expected, rel=1e-9)


def test_a_long_line_is_as_probable_as_torch_s_ctc_loss_says() -> None:
    rng = np.random.default_rng(9)
    log_probs = random_log_probs(rng, 2000, 30, 1.0)
    text = rng.integers(1, 30, size=300)
    loss = torch.nn.functional.ctc_loss(
        torch.from_numpy(log_probs), torch.from_numpy(text), torch.tensor(2000), torch.tensor(300), reduction="sum"
    )
    assert log_prob(log_probs, text.tolist()) == pytest.approx(-float(loss), rel=1e-9)


@pytest.mark.parametrize("spaces", SPACES)
def test_many_texts_at_once_are_as_probable_as_all_their_paths(spaces: Text) -> None:
    lines, texts, probs = zip(*all_texts_of_small_cases(60, spaces), strict=True)
    assert text_log_probs(lines, texts, spaces) == pytest.approx(np.log(probs), rel=0, abs=1e-9)


def test_a_gap_is_one_space_however_many_frames_say_so_and_an_edge_is_none() -> None:
    # a and b of two frames each, and gaps of 30: blank and space by turns, and at the edges too.
    gap = [[0.3, 0.7, 0.0, 0.0], [0.8, 0.2, 0.0, 0.0]] * 15
    line = log([*gap, *[[0.0, 0.0, 1.0, 0.0]] * 2, *gap, *[[0.0, 0.0, 0.0, 1.0]] * 2, *gap])
    assert log_prob(line, (2, 1, 3), (1,)) == pytest.approx(math.log1p(-((0.3 * 0.8) ** 15)), abs=1e-9)
    assert log_prob(line, (2, 3), (1,)) == pytest.approx(15 * math.log(0.3 * 0.8), abs=1e-9)
    assert align([line], [(2, 1, 3)], (1,)) == [(30, 32, 62)]  # the space where it is most probable


def test_texts_of_hardly_any_probability_have_spaces_all_the_same() -> None:
    line = np.log(np.array([[0.6, 0.3, 0.1]])).repeat(5, axis=0) - 400
    expected = text_probs(line + 400, (1,))
    found = {text: log_prob(line, text, (1,)) + 2000 for text in expected}
    assert found == pytest.approx({text: math.log(p) for text, p in expected.items()}, rel=0, abs=1e-9)


def test_of_a_part_of_a_line_the_text_may_begin_and_end_with_a_space() -> None:
    line = log([[0.5, 0.3, 0.2]] * 3)
    by_counting = text_probs(line)  # of plain CTC, in which two spaces are two
    spaced = {text: p for text, p in by_counting.items() if (1, 1) not in itertools.pairwise(text)}
    spaced[(1,)] += by_counting[(1, 1)]
    found = {text: float(text_log_probs([line], [text], (1,), edges=False)[0]) for text in spaced}
    assert found == pytest.approx({text: math.log(p) for text, p in spaced.items()}, abs=1e-9)


def test_a_text_s_probability_is_the_same_beside_any_others() -> None:
    lines, texts = mixed_lines(70)
    alone = [log_prob(line, text) for line, text in zip(lines, texts, strict=True)]
    assert text_log_probs(lines, texts) == pytest.approx(alone, rel=1e-12)


def test_no_lines_have_no_scores() -> None:
    assert text_log_probs([], []).shape == (0,)
    assert align([], []) == []
    assert posteriors([], []) == []


def test_a_text_of_hardly_any_probability_is_summed_all_the_same() -> None:
    # One path only, of e**-400 a frame: e**-1200, which no 64-bit number holds. Beside it a text of probability 1.
    line = np.array([[0.0, -400.0], [-400.0, 0.0], [0.0, -400.0]])
    assert text_log_probs([line, line], [(1, 1), (1,)]) == pytest.approx([-1200, 0], abs=1e-9)


def test_a_rival_far_more_probable_on_the_way_takes_nothing_away() -> None:
    # The text must leave a prefix of probability 1 for characters of e**-90 each: in frame 20 that is e**-1800 of it.
    line = np.full((40, 3), -90.0)
    line[:, 0] = 0.0
    text = (1, 2) * 10
    # binomial(40 + 20, 40) paths have 20 frames of characters (more cost more), with 20 · 90 to pay.
    assert log_prob(line, text) == pytest.approx(math.log(math.comb(40, 20)) - 1800, abs=1e-9)


def test_a_text_that_does_not_fit_is_impossible_and_has_no_alignment() -> None:
    log_probs = log([[0.2, 0.4, 0.4]] * 2)
    assert log_prob(log_probs, (1, 2, 1)) == -np.inf
    with pytest.raises(ValueError, match="3 characters do not fit 2 frames"):
        align([log_probs], [(1, 2, 1)])


def test_alignments_are_those_of_the_most_probable_path_that_reads_the_text() -> None:
    rng = np.random.default_rng(5)
    lines, texts = [], []
    for log_probs in small_cases(200):
        _, possible, _ = paths_and_texts(*log_probs.shape)
        texts += [possible[i] for i in rng.integers(len(possible), size=5)]
        lines += [log_probs] * 5
    assert align(lines, texts) == [best_path_frames(line, text) for line, text in zip(lines, texts, strict=True)]


def test_a_character_is_placed_at_its_most_probable_frame() -> None:
    log_probs = log(
        [
            [0.4, 0.6, 0.0],  # a
            [0.2, 0.8, 0.0],  # a, the surest of the run
            [0.3, 0.7, 0.0],  # a
            [0.9, 0.1, 0.0],  # blank
            [0.0, 0.9, 0.1],  # a again, after the blank
            [0.0, 0.3, 0.7],  # b at once
            [0.0, 0.1, 0.9],  # b, surer
        ]
    )
    assert align([log_probs], [(1, 1, 2)]) == [(1, 4, 6)]


def test_frames_increase_along_the_text() -> None:
    lines, texts = mixed_lines(40)
    for line, frames in zip(lines, align(lines, texts), strict=True):
        assert all(a < b for a, b in itertools.pairwise((-1, *frames, len(line))))


def test_without_frames_only_the_empty_text_is_aligned() -> None:
    assert align([NO_FRAMES], [()]) == [()]
    with pytest.raises(ValueError, match="1 characters do not fit 0 frames"):
        align([NO_FRAMES], [(1,)])


def test_what_has_no_probability_has_no_alignment() -> None:
    with pytest.raises(ValueError, match="no probability"):
        align([log([[0.0, 1.0, 0.0]])], [(2,)])


def test_improbable_frames_are_aligned_like_others() -> None:
    assert align([np.array([[-900.0, -800.0], [-800.0, -900.0]])], [(1,)]) == [(0,)]
