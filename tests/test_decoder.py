"""The decoder as a whole: when it searches, and what it says of what it finds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from paths import SHARPNESSES, log, random_log_probs, small_cases, text_probs

from crnnocr.config import DecodeConfig
from crnnocr.decoding import Decoder, Hypothesis, Ids, LogProbs, decoder
from crnnocr.decoding import beam as beam_module
from crnnocr.decoding.beam import beam_search
from crnnocr.decoding.hypothesis import greedy
from crnnocr.text.charset import Charset

CHARSET = Charset("abcdefg")


def lines_of(count: int) -> list[LogProbs]:
    """Seeded lines of up to 40 frames, from nearly flat to confident."""
    rng = np.random.default_rng(12)
    return [random_log_probs(rng, int(rng.integers(1, 40)), CHARSET.classes, SHARPNESSES[i % 4]) for i in range(count)]


def forbid_searching(monkeypatch: pytest.MonkeyPatch) -> None:
    def search(lines: list[LogProbs], beam: int, spaces: Ids = (), *, edges: bool = True) -> list[list[Hypothesis]]:
        assert not lines, "searched"
        return []

    def search_line(line: LogProbs, beam: int, automaton: object, fusion: object, spaces: Ids) -> list[Hypothesis]:
        raise AssertionError("searched")

    for module in (beam_module, decoder):
        monkeypatch.setattr(module, "beam_search", search)
    monkeypatch.setattr(decoder, "constrained_beam_search", search_line)


def test_by_default_it_is_the_text_of_the_best_path_with_its_exact_probability() -> None:
    for log_probs in small_cases(100):
        charset = Charset("abcdefg"[: log_probs.shape[1] - 1])
        ((found,),) = Decoder(DecodeConfig(), charset).decode([log_probs])
        assert found.ids == greedy(log_probs).ids
        assert math.exp(found.log_prob) == pytest.approx(text_probs(log_probs)[found.ids])


def test_the_probabilities_of_the_n_best_are_exact_however_narrow_the_beam() -> None:
    for log_probs in small_cases(100):
        charset = Charset("abcdefg"[: log_probs.shape[1] - 1])
        (found,) = Decoder(DecodeConfig(beam=2, top_k=2), charset).decode([log_probs])
        exact = text_probs(log_probs)
        assert [math.exp(h.log_prob) for h in found] == pytest.approx([exact[h.ids] for h in found])
        assert found == sorted(found, key=lambda h: -h.log_prob)
        assert 1 <= len(found) <= 2


def lines_of_segments(count: int) -> list[NDArray[np.float64]]:
    """Seeded lines of three short segments, each of them unsure, with frames between them in which the blank is certain."""
    rng = np.random.default_rng(5)
    blank = np.log([[0.9995, 0.0003, 0.0002]])
    lines = []
    for i in range(count):
        a, b, c = (random_log_probs(rng, int(rng.integers(1, 3)), 3, SHARPNESSES[i % 4]) for _ in range(3))
        lines.append(np.concatenate([a, blank, b, blank, c]))
    return lines


def test_the_best_text_is_found_though_a_line_is_searched_in_segments() -> None:
    same = np.log([[0.55, 0.4499, 0.0001], [0.9995, 0.0003, 0.0002], [0.55, 0.4499, 0.0001]])  # "a" is in one of the two
    lines = [same, *lines_of_segments(300)]
    narrow, wide = (Decoder(DecodeConfig(beam=beam), Charset("ab")).decode(lines) for beam in (20, 100))
    for line, (best,), (exact,) in zip(lines, narrow, wide, strict=True):
        probs = text_probs(line)
        assert math.exp(best.log_prob) == pytest.approx(probs[best.ids])
        assert math.exp(best.log_prob) == pytest.approx(max(probs.values()), rel=0.01)
        assert math.exp(exact.log_prob) == pytest.approx(max(probs.values()))


def test_spaces_that_meet_where_a_line_is_cut_are_one() -> None:
    rng = np.random.default_rng(6)
    blank = np.log([[0.9995, 0.0002, 0.0003]])
    line_parts = [[random_log_probs(rng, 2, 3, 3.0) for _ in range(3)] for _ in range(200)]
    lines = [np.concatenate([a, blank, b, blank, c]) for a, b, c in line_parts]
    found = Decoder(DecodeConfig(beam=20), Charset("a ")).decode(lines)
    assert sum(2 in best.ids for (best,) in found) > 20
    for line, (best,) in zip(lines, found, strict=True):
        probs = text_probs(line, (2,))
        assert math.exp(best.log_prob) == pytest.approx(probs[best.ids])
        assert math.exp(best.log_prob) == pytest.approx(max(probs.values()), rel=0.01)


@pytest.mark.parametrize(
    "config",
    [DecodeConfig(), DecodeConfig(beam=5), DecodeConfig(beam=100), DecodeConfig(top_k=3), DecodeConfig(pattern="[ab ]+")],
)
def test_a_wide_gap_is_one_space_and_margins_are_none(config: DecodeConfig) -> None:
    charset = Charset("ab ")
    gap = [[0.48, 0.001, 0.001, 0.518], [0.518, 0.001, 0.001, 0.48]]
    a, b = [[0.01, 0.97, 0.01, 0.01]], [[0.01, 0.01, 0.97, 0.01]]
    line = np.log([*gap * 10, *a, *gap * 20, *b, *gap * 10])
    ((best, *others),) = Decoder(config, charset).decode([line])
    assert charset.decode(best.ids) == "a b"
    for found in (best, *others):
        text = charset.decode(found.ids)
        assert text == " ".join(text.split())
    # Nothing but a spurious letter in one of the 80 frames of the gaps, of 0.002 each, stands against it.
    assert best.log_prob == pytest.approx(2 * math.log(0.97) + 80 * math.log(0.998), abs=0.01)


@pytest.mark.parametrize("frames", [5, 50, 500, 2000])
@pytest.mark.parametrize(
    "config",
    [DecodeConfig(), DecodeConfig(beam=5), DecodeConfig(beam=50), DecodeConfig(top_k=3), DecodeConfig(pattern="[ab ]*")],
)
def test_blank_paper_is_empty_and_as_certainly_so_at_every_width(config: DecodeConfig, frames: int) -> None:
    # Each frame leaves 0.005 to the letters: in a thousand frames that is far more than what is left to no letter.
    line = np.log(np.tile([[0.985, 0.003, 0.002, 0.01]], (frames, 1)))
    line[frames // 2] = np.log([0.96, 0.015, 0.005, 0.02])
    decoder = Decoder(config, Charset("ab "))
    (found,) = decoder.decode([line])
    assert found[0].ids == ()
    assert math.exp(decoder.certainty(found, line)) == pytest.approx(0.98)  # of the frame where something most likely is
    assert found[0].log_prob == pytest.approx((frames - 1) * math.log(0.995) + math.log(0.98))


def test_what_may_hold_a_character_is_hardly_certain_to_be_empty() -> None:
    line = np.log([[0.99, 0.01], [0.55, 0.45], [0.99, 0.01]])
    decoder = Decoder(DecodeConfig(), Charset("a"))
    (found,) = decoder.decode([line])
    assert found[0].ids == ()
    assert math.exp(decoder.certainty(found, line)) == pytest.approx(0.55)


def test_a_text_is_as_certain_as_it_is_probable_and_none_is_impossible() -> None:
    decoder = Decoder(DecodeConfig(), Charset("a"))
    line = np.log([[0.2, 0.8], [0.9, 0.1]])
    (found,) = decoder.decode([line])
    assert decoder.certainty(found, line) == found[0].log_prob
    assert decoder.certainty([], line) == -np.inf


def test_spaces_that_are_not_allowed_are_nothing() -> None:
    charset = Charset("12 ")
    line = np.log([[0.01, 0.01, 0.01, 0.97], [0.01, 0.97, 0.01, 0.01], [0.01, 0.01, 0.02, 0.96], [0.01, 0.01, 0.97, 0.01]])
    for config in (DecodeConfig(allow="12"), DecodeConfig(block=" ", beam=5), DecodeConfig(allow="12", pattern=".+")):
        ((best,),) = Decoder(config, charset).decode([line])
        assert charset.decode(best.ids) == "12"
        assert math.exp(best.log_prob) > 0.9


def test_only_uncertain_segments_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[LogProbs] = []
    whole = beam_search

    def search(lines: list[LogProbs], beam: int, spaces: Ids, *, edges: bool) -> list[list[Hypothesis]]:
        searched.extend(lines)
        return whole(lines, beam, spaces, edges=edges)

    monkeypatch.setattr(beam_module, "beam_search", search)
    blank, confident = [0.9998, 0.0001, 0.0001], [0.005, 0.99, 0.005]
    uncertain = [[0.1, 0.46, 0.44], [0.3, 0.36, 0.34]]
    line = np.log([confident, blank, *uncertain, blank, confident, confident, blank])
    ((best,),) = Decoder(DecodeConfig(beam=5), Charset("ab")).decode([line])
    assert [part.tolist() for part in searched] == [line[2:4].tolist()]
    assert best.ids == max(text_probs(line).items(), key=lambda item: item[1])[0]


def test_a_search_never_ends_with_less_than_the_first_guess() -> None:
    lines = lines_of(80)
    guesses, found = (Decoder(DecodeConfig(beam=beam), CHARSET).decode(lines) for beam in (0, 1))
    assert all(best[0].log_prob >= guess[0].log_prob for guess, best in zip(guesses, found, strict=True))


def test_what_is_proven_the_best_is_not_searched_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("a\nab\n", encoding="utf-8")
    # a has 0.94, as its paths are a blank, a a and blank a: 0.9 · 0.6 + 0.9 · 0.4 + 0.1 · 0.4.
    confident = log([[0.1, 0.9, 0.0], [0.6, 0.4, 0.0]])
    charset = Charset("ab")
    forbid_searching(monkeypatch)
    for config in (
        DecodeConfig(beam=5),
        DecodeConfig(beam=5, allow="a"),
        DecodeConfig(pattern="a"),
        DecodeConfig(lexicon=str(text)),
    ):
        ((found,),) = Decoder(config, charset).decode([confident])
        assert found.ids == (1,)
    for config in (
        DecodeConfig(beam=5, top_k=2),
        DecodeConfig(lm=str(text)),  # which may find another likelier
        DecodeConfig(pattern="b"),
        DecodeConfig(pattern="ab?", top_k=2),
    ):
        with pytest.raises(AssertionError, match="searched"):
            Decoder(config, charset).decode([confident])
    unsure = log([[0.6, 0.4, 0.0], [0.6, 0.4, 0.0]])  # the best path's text, "", has 0.36
    for config in (DecodeConfig(beam=5), DecodeConfig(pattern="a?")):
        with pytest.raises(AssertionError, match="searched"):
            Decoder(config, charset).decode([unsure])


def test_a_sure_text_that_is_not_permitted_proves_nothing() -> None:
    confident = log([[0.1, 0.85, 0.05], [0.6, 0.39, 0.01]])
    ((found,),) = Decoder(DecodeConfig(beam=5, pattern="b"), Charset("ab")).decode([confident])
    assert found.ids == (2,)
    assert math.exp(found.log_prob) == pytest.approx(0.1 * 0.01 + 0.05 * 0.6 + 0.05 * 0.01)


def test_each_line_is_decoded_the_same_alone_and_beside_others() -> None:
    lines = lines_of(40)
    for config in (DecodeConfig(), DecodeConfig(beam=3), DecodeConfig(beam=4, top_k=3), DecodeConfig(pattern="[a-d]+")):
        whole = Decoder(config, CHARSET)
        for line, found in zip(lines, whole.decode(lines), strict=True):
            (alone,) = whole.decode([line])
            assert [h.ids for h in found] == [h.ids for h in alone]
            assert [h.log_prob for h in found] == pytest.approx([h.log_prob for h in alone], abs=1e-9)


def test_nothing_is_decoded_of_nothing() -> None:
    for config in (DecodeConfig(), DecodeConfig(beam=3), DecodeConfig(pattern="a*")):
        assert Decoder(config, CHARSET).decode([]) == []
        ((found,),) = Decoder(config, CHARSET).decode([np.zeros((0, CHARSET.classes))])
        assert (found.ids, found.log_prob) == ((), 0.0)


@pytest.mark.parametrize("texts", [["א)", "ב)", "גד"], ["\u0dd9k\u0ddf"], ["אבג", "1 2"]])
def test_the_characters_of_a_charset_need_not_make_a_text(texts: list[str]) -> None:
    charset = Charset.from_texts(texts)
    line = random_log_probs(np.random.default_rng(1), 20, charset.classes, 3.0)
    ((found,),) = Decoder(DecodeConfig(), charset).decode([line])
    assert found.ids == greedy(line, charset.spaces).ids


@pytest.mark.parametrize(("block", "gone"), [("e\u0301", "é"), ("é", "é"), ("א(", "(א"), (")א", ")א"), ("eeא", "eא")])
def test_each_character_is_blocked_as_it_is_however_it_is_written_and_whatever_is_beside_it(block: str, gone: str) -> None:
    charset = Charset("eéא()b")
    lines = [np.log(np.eye(charset.classes)[[charset.id_of(c) or 0]] * 0.9 + 0.01) for c in charset.characters]
    found = Decoder(DecodeConfig(block=block), charset).decode(lines)
    read = [charset.characters[best.ids[0] - 1] if best.ids else "" for (best,) in found]
    assert {c for c, other in zip(charset.characters, read, strict=True) if c != other} == set(gone)


@pytest.mark.parametrize(("allow", "kept"), [("e\u0301", "é"), ("א(", "א("), (")א", "א)")])
def test_each_character_is_allowed_as_it_is_however_it_is_written_and_whatever_is_beside_it(allow: str, kept: str) -> None:
    charset = Charset("eéא()b")
    lines = [np.log(np.eye(charset.classes)[[charset.id_of(c) or 0]] * 0.9 + 0.01) for c in charset.characters]
    found = Decoder(DecodeConfig(allow=allow), charset).decode(lines)
    read = [charset.characters[best.ids[0] - 1] if best.ids else "" for (best,) in found]
    assert {c for c, other in zip(charset.characters, read, strict=True) if c == other} == set(kept)
