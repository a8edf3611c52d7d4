"""Lexicons, alone and with a pattern, against all ways to divide short texts into words."""

from __future__ import annotations

import itertools
import math
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from paths import random_log_probs
from small_texts import (
    ALL,
    CHARSET,
    HEBREW,
    LISTS,
    SMALL,
    TEXTS,
    accepts_text,
    assert_needs_fewest_frames,
    configured,
    is_line_of,
    permitted,
)

from crnnocr.config import DecodeConfig
from crnnocr.decoding import Decoder
from crnnocr.decoding.lexicon import Lexicon
from crnnocr.decoding.pattern import Pattern
from crnnocr.errors import UsageError
from crnnocr.text.charset import Charset


@pytest.mark.parametrize("words", LISTS)
def test_a_lexicon_permits_the_lines_that_can_be_divided_into_its_words(words: list[str]) -> None:
    expected = {text for text in TEXTS if is_line_of(tuple(words), text)}
    assert permitted(Lexicon(words, CHARSET, ALL)) == expected


def test_a_line_holds_listed_words_only() -> None:
    charset = Charset("abcdehilnot'., ")
    lexicon = Lexicon(["don't", "do", "it", "tea", "don't"], charset, frozenset(range(1, charset.classes)))
    lines = {
        line: lexicon.accepts(tuple(charset.encode(line)))
        for line in ["do it, don't", "don", "doit", "do.it", "", " tea.", "don'", "t"]
    }
    assert {line for line, is_permitted in lines.items() if is_permitted} == {"do it, don't", "do.it", "", " tea."}


def test_words_that_the_model_cannot_write_are_counted() -> None:
    lexicon = Lexicon(["a", "xa", "b"], CHARSET, ALL)
    assert (lexicon.words, lexicon.excluded) == (2, 1)
    with pytest.raises(UsageError, match="no word"):
        Lexicon(["x"], CHARSET, ALL)


def test_words_of_characters_that_are_not_allowed_are_left_out_and_counted(tmp_path: Path) -> None:
    options = {"lexicon": ["ab", "b", "a", "x"]}
    lexicon = Decoder(configured(tmp_path, options, block="a"), SMALL).lexicon
    assert lexicon
    assert (lexicon.words, lexicon.excluded) == (1, 3)
    with pytest.raises(UsageError, match="no word of characters that the model knows"):
        Decoder(configured(tmp_path, options, allow=" "), SMALL)


@pytest.mark.parametrize("words", LISTS)
def test_a_lexicon_knows_the_frames_it_needs(words: list[str]) -> None:
    assert_needs_fewest_frames(Lexicon(words, CHARSET, ALL))


@pytest.mark.parametrize(("words", "pattern"), [*itertools.product(LISTS, ["a.*", ".{2,3}", ".*1", "(aa|b.)+", r"\w+ \w+"])])
def test_both_permit_what_each_permits_and_need_what_that_needs(words: list[str], pattern: str) -> None:
    one, other = Lexicon(words, CHARSET, ALL), Pattern(pattern, CHARSET, ALL)
    both = Lexicon(words, CHARSET, ALL, other)
    assert permitted(both) == permitted(one) & permitted(other)
    assert_needs_fewest_frames(both)


def test_a_list_that_is_too_large_for_its_pattern_is_refused() -> None:
    assert Lexicon(["ab", "b1"], CHARSET, ALL).prefixes < 100
    with pytest.raises(UsageError, match="too large together"):
        Lexicon(["ab", "b1"], CHARSET, ALL, Pattern(".{1,40}", CHARSET, ALL), max_prefixes=100)


def test_two_that_exclude_each_other_permit_nothing() -> None:
    both = Lexicon(["a"], CHARSET, ALL, Pattern("b+", CHARSET, ALL))
    assert both.frames_needed(both.start, 0) == math.inf


def test_a_lexicon_file_may_come_from_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(
        b"\xef\xbb\xbfe\xcc\x81a\r\n\r\n  b \r\nx\r\n"
    )  # a BOM, e and an accent apart, CRLF, spaces, an empty line
    charset = Charset("abé")
    lexicon = Decoder(DecodeConfig(lexicon=str(path)), charset).lexicon
    assert lexicon is not None
    assert (lexicon.words, lexicon.excluded) == (2, 1)
    assert lexicon.accepts(tuple(charset.encode("éa")))


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_large_lexicon_is_compiled_in_seconds_and_used_by_many_threads(count: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    charset = Charset("abcdefghijklmnopqrstuvwxyz -")
    lengths = rng.integers(3, 12, size=count)
    words = ["".join(rng.choice(list(charset.characters[:26]), size=n)) for n in lengths]
    path = tmp_path / "words.txt"
    path.write_text("\n".join(words), encoding="utf-8")
    start = time.process_time()
    decoder = Decoder(DecodeConfig(beam=5, lexicon=str(path), pattern=".*-.*"), charset)
    assert time.process_time() - start < 10  # one or two for 100,000 words on a slow core
    lines = [random_log_probs(rng, 30, charset.classes, 2.0) for _ in range(8)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda line: decoder.decode([line])[0], lines * 3))
    assert results == decoder.decode([*lines]) * 3
    known = set(words)
    for found in results:
        text = charset.decode(found[0].ids)
        assert "-" in text
        assert all(word in known for word in re.findall("[a-z]+", text))


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_what_few_words_hold_is_found_without_going_through_the_list_again(count: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    charset = Charset("abcdefghijklmnopqrstuvwxyz -")
    allowed = frozenset(range(1, charset.classes))
    words = ["".join(rng.choice(list("abcdefghijklmnoprstuvwxy"), size=n)) for n in rng.integers(3, 12, size=count)]
    asked, letters = "[a-z ]*zq[a-z ]*", len({word[:n] for word in words for n in range(len(word) + 1)})
    with pytest.raises(UsageError, match="permits no text"):
        Decoder(configured(tmp_path, {"lexicon": words, "pattern": asked}), charset)
    lexicon = Lexicon([*words, "abzqab"], charset, allowed, Pattern(asked, charset, allowed))
    # Every prefix of a word twice: on a line that has come past "zq" and on one that has not; after a word it ends.
    assert lexicon.prefixes < 2.1 * letters
    assert lexicon.frames_needed(lexicon.start, 0) == 6
    (word, *_) = words
    state = lexicon.start
    for character in charset.encode(word):
        state = lexicon.transitions(state)[character]
    assert lexicon.frames_needed(state, 0) == len(" abzqab")
    decoder = Decoder(configured(tmp_path, {"lexicon": [*words, "abzqab"], "pattern": asked}, beam=5), charset)
    for found in decoder.decode([random_log_probs(rng, 50, charset.classes, 2.0) for _ in range(3)]):
        assert "abzqab" in charset.decode(found[0].ids).split(" ")


def test_a_lexicon_permits_right_to_left_lines_of_its_words() -> None:
    words = ["אב", "ג", "12", "ab", "בג1"]
    lexicon = Lexicon(words, HEBREW, frozenset(range(1, HEBREW.classes)))
    for count in (1, 2, 3):
        for chosen in itertools.product(words, repeat=count):
            for line in (" ".join(chosen), ". ".join(chosen) + ".", f"({' '.join(chosen)})"):
                assert accepts_text(line, lexicon), line
    assert not any(accepts_text(line, lexicon) for line in ["בא", "אב גג", "21", "ba", "1בג"])
