"""Patterns against Python's regular expressions, over all short texts."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_texts import (
    ALL,
    CHARSET,
    HEBREW,
    TEXTS,
    accepts_text,
    assert_needs_fewest_frames,
    permitted,
)

from crnnocr.decoding.pattern import Pattern
from crnnocr.errors import ConfigError, UsageError
from crnnocr.text.charset import Charset

PATTERNS = [
    "", "a", "ab", "a|b", "a*", "a+", "a?b?", "a{2}", "a{2,}", "a{,2}", "a{1,3}b", "(ab)*", "(a|b)+1", "(?:ab?){2}", ".", ".*",
    "..", r"\d", r"\w+", r"\D+", r"\W", r"\s*a", r"\S{2} \S", "[ab]1", "[^ab]*", "[a-b]+", r"[\d ]+", "[1-9]'", "[-a]b",
    "[]a]b", r"\'", "^a$", "a||b", "()", "(a*)*b", "((a|b){2}1?)+", "[^1]{3}", r"a\ b", "(a?){3}", "(|a)b",
]  # fmt: skip


def expressions() -> st.SearchStrategy[str]:
    """Random patterns."""
    single = st.sampled_from(["a", "b", "1", "'", " ", ".", r"\d", r"\w", r"\W", "[ab]", "[^a]", "[a1]"])
    repeats = st.sampled_from(["?", "*", "+", "{2}", "{1,2}", "{,2}", "{2,}"])
    return st.recursive(
        single,
        lambda part: st.one_of(
            st.builds("{}{}".format, part, part),
            st.builds("({}|{})".format, part, part),
            st.builds("(?:{}){}".format, part, repeats),
        ),
        max_leaves=8,
    )


def expression(pattern: str) -> re.Pattern[str]:
    """Python's expression, in which a space may be left out after a space and at both edges."""
    return re.compile(re.sub(r"(?:\\ | |\\s)(?![^\[]*\])", r"(?:\\s|(?<=\\s)|(?<!.)|(?!.))", pattern))


@pytest.mark.parametrize(
    ("pattern", "fits", "others"),
    [
        ("a  b", ["a b"], ["ab"]),
        (r"\s*a\s{2,}b\s+", ["a b"], ["ab"]),
        (" a ", ["a"], []),
        (r"(\w+ )+", ["a", "a b", "a 1 b"], [""]),
        ("( [ab])+", ["a b a"], ["ab"]),
        ("a ?b", ["ab", "a b"], []),
        ("[ab ]{3}", ["a b", "aba"], ["ab"]),  # what may be a space or another character counts
        (".{3}", ["a b", "aba"], ["a", "ab"]),
        (r"\s{3}", [""], ["a"]),
    ],
)
def test_spaces_in_a_row_are_one_and_none_at_an_edge(pattern: str, fits: list[str], others: list[str]) -> None:
    automaton = Pattern(pattern, CHARSET, ALL)
    accepted = permitted(automaton)
    assert accepted.issuperset(fits)
    assert accepted.isdisjoint(others)
    assert_needs_fewest_frames(automaton)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_permits_what_python_s_expressions_match(pattern: str) -> None:
    expected = {text for text in TEXTS if expression(pattern).fullmatch(text)}
    assert permitted(Pattern(pattern, CHARSET, ALL)) == expected


def assert_like_python_s_expressions(pattern: str) -> None:
    automaton = Pattern(pattern, CHARSET, ALL)
    expected = expression(pattern)
    short = [text for text in TEXTS if len(text) <= 4]
    assert {t for t in short if automaton.accepts(tuple(CHARSET.encode(t)))} == {t for t in short if expected.fullmatch(t)}
    assert_needs_fewest_frames(automaton)


@settings(max_examples=30, deadline=None)
@given(expressions())
def test_random_patterns_permit_what_python_s_expressions_match(pattern: str) -> None:
    assert_like_python_s_expressions(pattern)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(expressions())
def test_many_random_patterns_permit_what_python_s_expressions_match(pattern: str) -> None:
    assert_like_python_s_expressions(pattern)


@pytest.mark.parametrize(
    ("pattern", "place"),
    [
        ("a)", 2), ("(a", 1), ("[ab", 1), ("*a", 1), ("a**", 3), ("a+?", 3), ("a{", 2), ("a{x}", 2), ("a{3,2}", 2), ("a{,}", 2),
        ("a{1001}", 2), (r"a\q", 2), ("a\\", 2), ("[b-a]", 2), ("(?=a)", 2), ("a^b", 2), ("a$b", 3), ("ac", 2), ("[c]", 1),
        (r"a[^\w\W]", 2), ("(" * 51 + ")" * 51, 51), ("|*", 2), ("(a$)", 3),
    ],
)  # fmt: skip
def test_an_error_in_a_pattern_is_reported_with_its_place(pattern: str, place: int) -> None:
    with pytest.raises(ConfigError, match=rf"^pattern .*, place {place}: "):
        Pattern(pattern, CHARSET, ALL)


@pytest.mark.parametrize(
    "pattern",
    ["((a|b)*a(a|b){20})", "((a{1000}){1000}){1000}", pytest.param("((a?){100}){30}", marks=pytest.mark.slow)],
)
def test_a_pattern_that_would_take_all_memory_is_refused_at_once(pattern: str) -> None:
    start = time.process_time()
    with pytest.raises(UsageError, match="too large"):
        Pattern(pattern, CHARSET, ALL)
    assert time.process_time() - start < 10  # one on a slow core


@pytest.mark.parametrize(
    "pattern", ["(a?){1000}", ".{1,1000}", "([ab]{1,20} ){10}", f".*({'|'.join(['ab', 'ba1', 'b1a'] * 40)}).*"]
)
def test_a_pattern_that_is_only_long_is_none_too_large(pattern: str) -> None:
    assert Pattern(pattern, CHARSET, ALL).states > 1


def test_a_pattern_over_thousands_of_characters_is_compiled_at_once() -> None:
    charset = Charset("".join(map(chr, range(0x4E00, 0x6000))))
    automaton = Pattern(".{1,40}", charset, frozenset(range(1, charset.classes)))
    assert automaton.accepts((1, 4000))
    assert automaton.frames_needed(automaton.start, 0) == 1


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_knows_the_frames_it_needs(pattern: str) -> None:
    assert_needs_fewest_frames(Pattern(pattern, CHARSET, ALL))


def test_the_patterns_of_the_documentation_permit_their_examples() -> None:
    page = (Path(__file__).parents[1] / "docs/decoding.md").read_text(encoding="utf-8")
    examples = re.findall(r"--pattern '(.+)' +# (.+)", page)
    assert len(examples) == 4
    charset = Charset("".join(map(chr, range(32, 127))))
    for pattern, example in examples:
        automaton = Pattern(pattern, charset, frozenset(range(1, charset.classes)))
        assert automaton.accepts(tuple(charset.encode(example)))
        assert not automaton.accepts(tuple(charset.encode(example[1:])))


@pytest.mark.parametrize("pattern", [".{4}", "[אבג]+", r"\d\d", r"[ab]1|\d\.\d", ".*", r"[()אב]{3}", r"\(\d\)"])
def test_a_pattern_with_right_to_left_letters_accepts_what_python_s_expressions_match_if_order_does_not_matter(
    pattern: str,
) -> None:
    automaton = Pattern(pattern, HEBREW, frozenset(range(1, HEBREW.classes)))
    for text in ["אב12", "12אב", "אבג", "א12ב", "12", "2.1", "a1", "1a", "(אב", "אב)", "(1)", ")1(", "ab א", "א.", "גבא", ""]:
        assert accepts_text(text, automaton) == bool(re.fullmatch(pattern, text)), text


@pytest.mark.parametrize("pattern", ["אב[12]{2}", r"\w+ \w+", r".*\d", "אב", r"[(אב]+", "ab|א"])
def test_a_pattern_that_asks_for_an_order_of_right_to_left_letters_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="run from right to left"):
        Pattern(pattern, HEBREW, frozenset(range(1, HEBREW.classes)))


def test_a_pattern_may_ask_for_any_order_if_right_to_left_letters_are_not_allowed() -> None:
    allowed = frozenset(filter(None, map(HEBREW.id_of, "ab12")))
    assert accepts_text("ab12", Pattern(r"\D+\d+", HEBREW, allowed))
