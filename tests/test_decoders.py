"""Decoders: greedy, beam search and the lattice, against every path counted one by one."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from paths import (
    SHARPNESSES,
    WIDE,
    Floats,
    Text,
    log,
    path_log_probs,
    paths_and_texts,
    random_log_probs,
    small_cases,
    text_probs,
)

from crnnocr.decoding import Hypothesis, Ids, LogProbs
from crnnocr.decoding.beam import beam_search
from crnnocr.decoding.forward import align, text_log_probs
from crnnocr.decoding.hypothesis import greedy
from crnnocr.text.charset import frames_needed


def searched(log_probs: LogProbs, beam: int, top: int = 1) -> list[Hypothesis]:
    return beam_search([log_probs], beam)[0][:top]


def log_prob(log_probs: LogProbs, text: Ids) -> float:
    return float(text_log_probs([log_probs], [text])[0])


def plain_beam_search(log_probs: Floats, beam: int) -> list[tuple[Text, float]]:
    """The textbook prefix beam search, every extension of every prefix tried in every frame; texts and log-probabilities."""
    beams: dict[Text, tuple[float, float]] = {(): (1.0, 0.0)}  # probability of ending in a blank, and of not
    for frame in np.exp(log_probs).tolist():
        after: defaultdict[Text, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for prefix, (blank, last) in beams.items():
            after[prefix][0] += (blank + last) * frame[0]
            for character in range(1, len(frame)):
                if prefix and prefix[-1] == character:
                    after[prefix][1] += last * frame[character]
                    after[(*prefix, character)][1] += blank * frame[character]
                else:
                    after[(*prefix, character)][1] += (blank + last) * frame[character]
        ranked = sorted(after.items(), key=lambda item: (-sum(item[1]), item[0]))
        beams = {prefix: (blank, last) for prefix, (blank, last) in ranked[:beam]}
    return [(prefix, math.log(sum(mass))) for prefix, mass in beams.items() if sum(mass) > 0]


def assert_ranked(found: list[Hypothesis], expected: list[tuple[Text, float]]) -> None:
    assert [hypothesis.ids for hypothesis in found] == [text for text, _ in expected]
    # 1e-9: hundreds of roundings of 64-bit numbers, each of a relative 1e-16, with room.
    assert [hypothesis.log_prob for hypothesis in found] == pytest.approx([p for _, p in expected], rel=0, abs=1e-9)


def test_a_wide_beam_ranks_all_texts_by_the_sum_over_all_their_paths() -> None:
    for log_probs in small_cases(300):
        expected = sorted(text_probs(log_probs).items(), key=lambda item: -item[1])
        found = searched(log_probs, beam=WIDE, top=WIDE)
        assert_ranked(found, [(text, math.log(p)) for text, p in expected])


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
def test_equal_neighbours_need_a_frame_for_the_blank_between_them(text: Text, frames: int) -> None:
    assert frames_needed(text) == frames


@pytest.mark.parametrize("sharpness", SHARPNESSES)
@pytest.mark.parametrize("beam", [1, 2, 3, 4, 5])
def test_leaving_out_what_cannot_enter_a_narrow_beam_changes_nothing(beam: int, sharpness: float) -> None:
    rng = np.random.default_rng([beam, int(10 * sharpness)])
    for _ in range(15):
        # Up to 24 classes, so that the 2 · beam most probable characters, which the search looks at, are often not all.
        log_probs = random_log_probs(rng, int(rng.integers(15, 25)), int(rng.integers(3, 25)), sharpness)
        assert_ranked(searched(log_probs, beam, top=beam), plain_beam_search(log_probs, beam))


def test_leaving_out_changes_nothing_where_texts_repeat_characters() -> None:
    rng = np.random.default_rng(11)
    for beam in range(1, 6):
        for _ in range(15):
            log_probs = random_log_probs(rng, 20, 3, 1.0)
            log_probs[::2, 0] += 2  # blanks in every other frame, so that repeats are worth extending by
            log_probs -= np.logaddexp.reduce(log_probs, axis=1, keepdims=True)
            assert_ranked(searched(log_probs, beam, top=beam), plain_beam_search(log_probs, beam))


def test_the_best_text_is_not_always_the_text_of_the_best_path() -> None:
    # Harald Scheidl's example, blank first: the best path is two blanks, 0.6 · 0.6 = 0.36, but the paths of "a" sum to
    # 0.4 · 0.4 + 2 · 0.4 · 0.6 = 0.64.
    log_probs = log([[0.6, 0.4, 0.0], [0.6, 0.4, 0.0]])
    best_path, best_text = greedy(log_probs), searched(log_probs, beam=25)[0]
    assert best_path.ids == ()
    assert math.exp(best_path.log_prob) == pytest.approx(0.36)
    assert best_text.ids == (1,)
    assert math.exp(best_text.log_prob) == pytest.approx(0.64)


def test_the_n_best_come_best_first_and_no_more_than_asked() -> None:
    log_probs = log([[0.6, 0.4, 0.0], [0.6, 0.4, 0.0]])
    assert [hypothesis.ids for hypothesis in searched(log_probs, beam=25, top=5)] == [(1,), ()]  # no other is possible
    assert [hypothesis.ids for hypothesis in searched(log_probs, beam=25)] == [(1,)]


def test_greedy_takes_the_best_path_of_all() -> None:
    for log_probs in small_cases(200):
        _, texts, owner = paths_and_texts(*log_probs.shape)
        all_paths = path_log_probs(log_probs)
        found = greedy(log_probs)
        assert found.ids == texts[owner[all_paths.argmax()]]
        assert found.log_prob == pytest.approx(float(all_paths.max()), rel=0, abs=1e-9)


def test_characters_repeat_only_over_a_blank() -> None:
    together, apart = log([[0.1, 0.9]] * 3), log([[0.1, 0.9], [0.9, 0.1], [0.1, 0.9]])
    assert greedy(together).ids == searched(together, beam=9)[0].ids == (1,)
    assert greedy(apart).ids == searched(apart, beam=9)[0].ids == (1, 1)
    assert log_prob(apart, (1, 1)) == pytest.approx(3 * math.log(0.9))  # one path: a, blank, a
    assert log_prob(apart[:2], (1, 1)) == -np.inf
    assert align([apart], [(1, 1)]) == [(0, 2)]


NO_FRAMES = np.zeros((0, 3))
"""A line without a single frame."""


def test_without_frames_greedy_reads_the_empty_text() -> None:
    assert greedy(NO_FRAMES) == Hypothesis((), 0.0)


def test_without_frames_the_beam_reads_the_empty_text() -> None:
    assert searched(NO_FRAMES, beam=5, top=5) == [Hypothesis((), 0.0)]


def test_without_frames_only_the_empty_text_is_possible() -> None:
    assert log_prob(NO_FRAMES, ()) == 0
    assert log_prob(NO_FRAMES, (1,)) == -np.inf


def test_impossible_classes_are_never_read() -> None:
    rng = np.random.default_rng(7)
    for _ in range(60):
        log_probs = random_log_probs(rng, 5, 4, 1.0)
        forbidden = rng.random(log_probs.shape) < 0.4
        forbidden[np.arange(5), rng.integers(4, size=5)] = False  # every frame keeps a class
        log_probs[forbidden] = -np.inf
        log_probs -= np.logaddexp.reduce(log_probs, axis=1, keepdims=True)
        expected = text_probs(log_probs)
        possible = sorted(((text, math.log(p)) for text, p in expected.items() if p > 0), key=lambda item: -item[1])
        assert_ranked(searched(log_probs, beam=WIDE, top=WIDE), possible)
        assert greedy(log_probs).ids in dict(possible)
        for text, p in expected.items():
            assert log_prob(log_probs, text) == pytest.approx(math.log(p) if p else -np.inf, rel=0, abs=1e-9)


def test_certain_frames_leave_one_text_of_probability_1() -> None:
    log_probs = log([[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    sure = Hypothesis((1, 1, 2), 0.0)
    assert greedy(log_probs) == sure
    assert searched(log_probs, beam=5, top=5) == [sure]
    assert log_prob(log_probs, (1, 1, 2)) == 0
    assert log_prob(log_probs, (1, 2)) == -np.inf


def test_a_charset_of_one_character_can_be_searched_with_any_beam() -> None:
    log_probs = log([[0.3, 0.7], [0.6, 0.4]])
    for beam in (1, 2, 100):
        assert searched(log_probs, beam)[0].ids == (1,)


def test_single_precision_is_summed_in_double() -> None:
    log_probs = random_log_probs(np.random.default_rng(8), 6, 4, 1.0).astype(np.float32)
    text = searched(log_probs, beam=WIDE)[0]
    assert text.log_prob == pytest.approx(math.log(max(text_probs(log_probs.astype(np.float64)).values())), abs=1e-9)
    assert log_prob(log_probs, text.ids) == pytest.approx(text.log_prob, abs=1e-9)


@pytest.mark.parametrize("text", [(), (1,), (1, 2), (1, 1), tuple(i % 3 + 1 for i in range(400)), (2,) * 300])
def test_a_long_flat_line_does_not_underflow(text: Text) -> None:
    # With all classes alike every path has probability C**-T, here e**-2773, and a text with L characters and R equal
    # neighbours has binomial(T + L - R, 2 L) paths: T - L - R frames to spread over 2 L + 1 characters and blanks.
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


def test_a_long_sure_line_is_read_by_the_beam_as_by_the_best_path() -> None:
    rng = np.random.default_rng(10)
    log_probs = random_log_probs(rng, 2000, 30, 0.1)
    log_probs[np.arange(2000), rng.integers(30, size=2000)] += 9
    log_probs -= np.logaddexp.reduce(log_probs, axis=1, keepdims=True)
    path, text = greedy(log_probs), searched(log_probs, beam=3)[0]
    assert text.ids == path.ids
    # The beam sums at least the best path, and at most all paths of the text.
    assert path.log_prob <= text.log_prob <= log_prob(log_probs, text.ids) + 1e-6


def test_a_long_flat_line_is_searched_without_underflow() -> None:
    log_probs = random_log_probs(np.random.default_rng(12), 2000, 5, 0.5)
    found = searched(log_probs, beam=3, top=3)
    assert len(found) == 3
    for hypothesis in found:
        # Five nearly equal classes leave some e**-1 of probability a frame: far below the least 64-bit number, e**-745.
        assert -2000 * math.log(5) < hypothesis.log_prob < -745
        assert hypothesis.log_prob <= log_prob(log_probs, hypothesis.ids) + 1e-6
