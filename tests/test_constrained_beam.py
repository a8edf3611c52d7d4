"""Constrained searches against all texts there are, each judged by itself."""

from __future__ import annotations

import functools
import itertools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paths import WIDE, Floats, Text, random_log_probs, single_spaced
from small_texts import (
    SMALL,
    SPACE,
    configured,
    is_line_of,
    probs_of_small,
)

from crnnocr.config import DecodeConfig
from crnnocr.decoding import Decoder, Hypothesis
from crnnocr.errors import UsageError

CONFIGS = [
    {"allow": "a"}, {"allow": "ab", "block": "b"}, {"block": " "}, {"pattern": "a+b?"}, {"pattern": "(ab|ba)+"},
    {"pattern": "a.{3}"}, {"pattern": "aa|bb"}, {"lexicon": ["ab", "b"]}, {"lexicon": ["aa", "bab"]},
    {"lexicon": ["ab", "a"], "pattern": ".{3,}"},
    {"lexicon": ["b", "ba"], "pattern": ".*a", "block": " "}, {"pattern": "[ab]{2,}", "allow": "b "}, {"pattern": "(aab)*"},
    {"lexicon": ["a b"], "pattern": ".*[ab]"}, {"pattern": "b{3}"}, {"lexicon": ["aaa"], "pattern": "a+"},
    {"pattern": "[ab ]+"}, {"pattern": "a b.*"}, {"lexicon": ["a b", "b"]}, {"lexicon": ["a"], "pattern": "a( a)*"},
]  # fmt: skip


def is_permitted(text: str, options: dict[str, Any]) -> bool:
    """Whether the text satisfies every option, each judged by itself."""
    return (
        set(text) <= set(str(options.get("allow", SMALL.characters))) - set(str(options.get("block", "")))
        and bool(re.fullmatch(str(options.get("pattern", ".*")), text))
        and ("lexicon" not in options or is_line_of(tuple(options["lexicon"]), text))
    )


@functools.cache
def has_spaces(pattern: str) -> bool:
    """Whether any text of a pattern holds a space."""
    texts = ("".join(text) for length in range(8) for text in itertools.product(SMALL.characters, repeat=length))
    return any(" " in text.strip() and re.fullmatch(pattern, text) for text in texts)


def permitted_by_counting(line: Floats, options: dict[str, Any]) -> list[tuple[Text, float]]:
    """The permitted texts of a line, with their log-probabilities, best first."""
    asked = {name: options[name] for name in ("allow", "block") if name in options}
    if not has_spaces(str(options.get("pattern", ".*"))):
        asked["block"] = asked.get("block", "") + " "
    every = probs_of_small(line, **asked).items()
    probs = {text: p for text, p in every if p > 0 and is_permitted(SMALL.decode(text), options)}
    return [(text, math.log(p)) for text, p in sorted(probs.items(), key=lambda item: -item[1])]


def assert_found(found: list[Hypothesis], expected: list[tuple[Text, float]]) -> None:
    assert [hypothesis.ids for hypothesis in found] == [text for text, _ in expected]
    assert [hypothesis.log_prob for hypothesis in found] == pytest.approx([p for _, p in expected], rel=0, abs=1e-9)


@pytest.mark.parametrize("options", CONFIGS)
def test_a_wide_beam_ranks_all_permitted_texts(options: dict[str, Any], tmp_path: Path) -> None:
    decoder = Decoder(configured(tmp_path, options, beam=WIDE, top_k=WIDE), SMALL)
    rng = np.random.default_rng(2)
    lines = [random_log_probs(rng, frames, 4, sharpness) for frames in (1, 2, 3, 4, 5) for sharpness in (0.5, 3.0)]
    for line, found in zip(lines, decoder.decode([*lines]), strict=True):
        assert_found(found, permitted_by_counting(line, options))


@pytest.mark.parametrize("options", CONFIGS)
@pytest.mark.parametrize("beam", [1, 2])
def test_the_narrowest_beam_finds_a_permitted_text_if_there_is_one(beam: int, options: dict[str, Any], tmp_path: Path) -> None:
    decoder = Decoder(configured(tmp_path, options, beam=beam), SMALL)
    rng = np.random.default_rng(3)
    lines = [random_log_probs(rng, int(rng.integers(1, 6)), 4, 10.0) for _ in range(40)]
    for line, found in zip(lines, decoder.decode([*lines]), strict=True):
        expected = dict(permitted_by_counting(line, options))
        assert len(found) == bool(expected)
        for hypothesis in found:
            assert hypothesis.log_prob == pytest.approx(expected[hypothesis.ids], rel=0, abs=1e-9)


@pytest.mark.parametrize("options", CONFIGS)
@pytest.mark.parametrize("count", [4, pytest.param(15, marks=pytest.mark.slow)])
def test_classes_without_probability_are_not_read_if_another_permitted_text_is_possible(
    count: int, options: dict[str, Any], tmp_path: Path
) -> None:
    decoder = Decoder(configured(tmp_path, options, beam=WIDE, top_k=WIDE), SMALL)
    rng = np.random.default_rng(4)
    for _ in range(count):
        line = random_log_probs(rng, 5, 4, 1.0)
        forbidden = rng.random(line.shape) < 0.4
        forbidden[np.arange(5), rng.integers(4, size=5)] = False
        line[forbidden] = -np.inf
        line -= np.logaddexp.reduce(line, axis=1, keepdims=True)
        expected = permitted_by_counting(line, options)
        (found,) = decoder.decode([line])
        if expected:
            assert_found(found, expected)
        else:
            # Permitted, but of no probability in this image.
            assert all(hypothesis.log_prob == -math.inf for hypothesis in found)


def test_a_text_against_all_probability_is_found_on_a_long_line() -> None:
    # The image says blank, with e**-90 for anything else: 30 characters are e**-2700 of it.
    line = np.full((200, 4), -90.0)
    line[:, 0] = 0.0
    (found,) = Decoder(DecodeConfig(beam=2, pattern="(ab){15}"), SMALL).decode([line])
    assert SMALL.decode(found[0].ids) == "ab" * 15
    assert -2700 < found[0].log_prob < -2500  # times the ways to spread 30 characters over 200 frames


def test_what_cannot_fit_has_no_hypothesis_and_what_is_empty_has_one() -> None:
    blank = np.log(np.array([[0.97, 0.01, 0.01, 0.01]] * 4))
    assert Decoder(DecodeConfig(pattern="a{3}"), SMALL).decode([blank]) == [[]]  # needs five frames
    (found,) = Decoder(DecodeConfig(pattern="(a{3})?"), SMALL).decode([blank])
    assert [hypothesis.ids for hypothesis in found] == [()]


def test_only_allowed_characters_are_read_by_greedy_decoding_too() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        line = random_log_probs(rng, 5, 4, 1.0)
        (found,) = Decoder(DecodeConfig(block="a"), SMALL).decode([line])
        masked = line.copy()
        masked[:, 1] = -np.inf
        collapsed = tuple(c for c, _ in itertools.groupby(masked.argmax(axis=1).tolist()) if c)
        assert found[0].ids == single_spaced(collapsed, (SPACE,))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"allow": "x"}, r"^allow .*'x' \(U\+0078"),
        ({"allow": "a", "block": "a"}, "^block leaves no character"),
        ({"pattern": "a", "block": "a"}, "^pattern permits no text at all together with `block`"),
        ({"lexicon": ["a"], "pattern": "b"}, "^pattern permits no text at all"),
    ],
)
def test_impossible_options_are_an_error(options: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=complaint):
        Decoder(configured(tmp_path, options), SMALL)


def test_blocking_what_the_model_does_not_know_changes_nothing() -> None:
    line = random_log_probs(np.random.default_rng(6), 5, 4, 1.0)
    assert Decoder(DecodeConfig(block="é"), SMALL).decode([line]) == Decoder(DecodeConfig(), SMALL).decode([line])


@pytest.mark.parametrize(("content", "complaint"), [(None, "words.txt cannot be read"), (b"a\xff", "not UTF-8 \\(byte 1\\)")])
def test_a_lexicon_that_cannot_be_read_is_named(content: bytes | None, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    if content:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=complaint):
        Decoder(DecodeConfig(lexicon=str(path)), SMALL)
