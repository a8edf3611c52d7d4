"""What is permitted, and the best of it, against all texts there are, each judged by itself."""

from __future__ import annotations

import itertools
import math
import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import WIDE, Floats, Text, random_log_probs, text_probs

from crnnocr.config import DecodeConfig
from crnnocr.decoding import Decoder, Hypothesis
from crnnocr.decoding.automaton import Automaton
from crnnocr.decoding.lexicon import Lexicon
from crnnocr.decoding.pattern import Pattern
from crnnocr.errors import ConfigError, UsageError
from crnnocr.text.charset import Charset, frames_needed

CHARSET = Charset("ab1' ")
"""Two letters, a digit, and two characters that stand between words."""
ALL = frozenset(range(1, CHARSET.classes))
TEXTS = ["".join(text) for n in range(6) for text in itertools.product(CHARSET.characters, repeat=n)]

PATTERNS = [
    "", "a", "ab", "a|b", "a*", "a+", "a?b?", "a{2}", "a{2,}", "a{,2}", "a{1,3}b", "(ab)*", "(a|b)+1", "(?:ab?){2}", ".", ".*",
    "..", r"\d", r"\w+", r"\D+", r"\W", r"\s*a", r"\S{2} \S", "[ab]1", "[^ab]*", "[a-b]+", r"[\d ]+", "[1-9]'", "[-a]b",
    "[]a]b", r"\'", "^a$", "a||b", "()", "(a*)*b", "((a|b){2}1?)+", "[^1]{3}", r"a\ b", "(a?){3}", "(|a)b",
]  # fmt: skip


def permitted(automaton: Automaton) -> set[str]:
    """Which of all texts of up to five characters an automaton permits."""
    return {text for text in TEXTS if automaton.accepts(tuple(CHARSET.encode(text)))}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_permits_what_python_s_expressions_match(pattern: str) -> None:
    expected = {text for text in TEXTS if re.fullmatch(pattern, text)}
    assert permitted(Pattern(pattern, CHARSET, ALL)) == expected


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


@settings(max_examples=150, deadline=None)
@given(expressions())
def test_random_patterns_permit_what_python_s_expressions_match(pattern: str) -> None:
    automaton = Pattern(pattern, CHARSET, ALL)
    expected = re.compile(pattern)
    short = [text for text in TEXTS if len(text) <= 4]
    assert {t for t in short if automaton.accepts(tuple(CHARSET.encode(t)))} == {t for t in short if expected.fullmatch(t)}
    assert_needs_what_is_least(automaton)


@pytest.mark.parametrize(
    ("pattern", "place"),
    [
        ("a)", 2), ("(a", 1), ("[ab", 1), ("*a", 1), ("a**", 3), ("a+?", 3), ("a{", 2), ("a{x}", 2), ("a{3,2}", 2), ("a{,}", 2),
        ("a{1001}", 2), (r"a\q", 2), ("a\\", 2), ("[b-a]", 2), ("(?=a)", 2), ("a^b", 2), ("a$b", 3), ("ac", 2), ("[c]", 1),
        (r"a[^\w\W]", 2), ("(" * 51 + ")" * 51, 51), ("|*", 2), ("(a$)", 3),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_pattern_is_said_with_its_place(pattern: str, place: int) -> None:
    with pytest.raises(ConfigError, match=rf"^pattern .*, place {place}: "):
        Pattern(pattern, CHARSET, ALL)


@pytest.mark.parametrize("pattern", ["((a|b)*a(a|b){20})", "((a{1000}){1000}){1000}", "((a?){100}){30}"])
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


LISTS = [
    ["a"],
    ["a", "ab"],
    ["ab", "b1"],
    ["a'b"],
    ["a", "a'"],
    ["a'b", "b"],
    ["'a", "b"],
    ["a b", "1"],
    ["aa", "aab", "b'b"],
    ["''", "a"],
]


@cache
def is_line_of(words: tuple[str, ...], line: str) -> bool:
    """Whether `line` can be cut into words and separators with no cut between word characters: every cut tried."""
    if not line:
        return True
    for end in range(1, len(line) + 1):
        piece, rest = line[:end], line[end:]
        if rest and piece[-1].isalnum() and rest[0].isalnum():
            continue
        if (piece in words or piece in ("'", " ")) and is_line_of(words, rest):
            return True
    return False


@pytest.mark.parametrize("words", LISTS)
def test_a_lexicon_permits_the_lines_that_can_be_cut_into_its_words(words: list[str]) -> None:
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


def assert_needs_what_is_least(automaton: Automaton) -> None:
    """From every prefix of up to two characters, the frames needed are those of its shortest completion."""
    accepted = [tuple(CHARSET.encode(text)) for text in permitted(automaton)]
    for prefix in ((), *((c,) for c in ALL), *itertools.product(ALL, repeat=2)):
        state = automaton.start
        try:
            for character in prefix:
                state = automaton.transitions(state)[character]
        except KeyError:
            continue
        rests = [text[len(prefix) :] for text in accepted if text[: len(prefix)] == prefix]
        for last in (0, *prefix[-1:]):
            # With the last character before them, its repetition needs a blank; after a blank it does not.
            fewest = min((frames_needed((last, *rest)) - 1 for rest in rests), default=math.inf)
            # Completions of more than three characters are not among the texts that were looked at.
            found = automaton.frames_needed(state, last)
            assert found == fewest or (found > 3 and fewest > 3)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_knows_the_frames_it_needs(pattern: str) -> None:
    assert_needs_what_is_least(Pattern(pattern, CHARSET, ALL))


@pytest.mark.parametrize("words", LISTS)
def test_a_lexicon_knows_the_frames_it_needs(words: list[str]) -> None:
    assert_needs_what_is_least(Lexicon(words, CHARSET, ALL))


@pytest.mark.parametrize(("words", "pattern"), [*itertools.product(LISTS, ["a.*", ".{2,3}", ".*1", "(aa|b.)+", r"\w+ \w+"])])
def test_both_permit_what_each_permits_and_need_what_that_needs(words: list[str], pattern: str) -> None:
    one, other = Lexicon(words, CHARSET, ALL), Pattern(pattern, CHARSET, ALL)
    both = Lexicon(words, CHARSET, ALL, other)
    assert permitted(both) == permitted(one) & permitted(other)
    assert_needs_what_is_least(both)


def test_a_list_that_is_too_large_for_its_pattern_is_refused() -> None:
    assert Lexicon(["ab", "b1"], CHARSET, ALL).prefixes < 100
    with pytest.raises(UsageError, match="too large together"):
        Lexicon(["ab", "b1"], CHARSET, ALL, Pattern(".{1,40}", CHARSET, ALL), max_prefixes=100)


def test_two_that_exclude_each_other_permit_nothing() -> None:
    both = Lexicon(["a"], CHARSET, ALL, Pattern("b+", CHARSET, ALL))
    assert both.frames_needed(both.start, 0) == math.inf


SMALL = Charset("ab ")
"""Of which all texts that fit five frames are searched."""

CONFIGS = [
    {"allow": "a"}, {"allow": "ab", "block": "b"}, {"block": " "}, {"pattern": "a+b?"}, {"pattern": "(ab|ba)+"},
    {"pattern": "a.{3}"}, {"pattern": "aa|bb"}, {"lexicon": ["ab", "b"]}, {"lexicon": ["aa", "bab"]},
    {"lexicon": ["ab", "a"], "pattern": ".{3,}"},
    {"lexicon": ["b", "ba"], "pattern": ".*a", "block": " "}, {"pattern": "[ab]{2,}", "allow": "b "}, {"pattern": "(aab)*"},
    {"lexicon": ["a b"], "pattern": ".*[ab]"}, {"pattern": "b{3}"}, {"lexicon": ["aaa"], "pattern": "a+"},
]  # fmt: skip


def configured(tmp_path: Path, options: dict[str, Any], **others: Any) -> DecodeConfig:
    """The config of options, with the lexicon in a file."""
    if "lexicon" in options:
        path = tmp_path / "words.txt"
        path.write_text("\n".join(options["lexicon"]), encoding="utf-8")
        options = {**options, "lexicon": str(path)}
    return DecodeConfig(**options, **others)


def is_permitted(text: str, options: dict[str, Any]) -> bool:
    """Whether the text satisfies every option, each judged by itself."""
    return (
        set(text) <= set(str(options.get("allow", SMALL.characters))) - set(str(options.get("block", "")))
        and bool(re.fullmatch(str(options.get("pattern", ".*")), text))
        and ("lexicon" not in options or is_line_of(tuple(options["lexicon"]), text))
    )


def permitted_by_counting(line: Floats, options: dict[str, Any]) -> list[tuple[Text, float]]:
    """The permitted texts of a line, with their log-probabilities, best first."""
    probs = {text: p for text, p in text_probs(line).items() if p > 0 and is_permitted(SMALL.decode(text), options)}
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
def test_the_narrowest_beam_finds_a_permitted_text_wherever_there_is_one(
    beam: int, options: dict[str, Any], tmp_path: Path
) -> None:
    decoder = Decoder(configured(tmp_path, options, beam=beam), SMALL)
    rng = np.random.default_rng(3)
    lines = [random_log_probs(rng, int(rng.integers(1, 6)), 4, 10.0) for _ in range(40)]
    for line, found in zip(lines, decoder.decode([*lines]), strict=True):
        expected = dict(permitted_by_counting(line, options))
        assert len(found) == bool(expected)
        for hypothesis in found:
            assert hypothesis.log_prob == pytest.approx(expected[hypothesis.ids], rel=0, abs=1e-9)


@pytest.mark.parametrize("options", CONFIGS)
def test_classes_without_probability_are_not_read_where_another_permitted_text_is_possible(
    options: dict[str, Any], tmp_path: Path
) -> None:
    decoder = Decoder(configured(tmp_path, options, beam=WIDE, top_k=WIDE), SMALL)
    rng = np.random.default_rng(4)
    for _ in range(15):
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
            # Permitted, but of no probability by this picture.
            assert all(hypothesis.log_prob == -math.inf for hypothesis in found)


def test_a_text_against_all_probability_is_found_on_a_long_line() -> None:
    # The picture says blank, with e**-90 for anything else: 30 characters are e**-2700 of it.
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
        assert found[0].ids == tuple(c for c, _ in itertools.groupby(masked.argmax(axis=1).tolist()) if c)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"allow": "x"}, r"^allow .*'x' \(U\+0078"),
        ({"allow": "a", "block": "a"}, "^block leaves no character"),
        ({"pattern": "a", "block": "a"}, "^pattern permits no text at all together with `block`"),
        ({"lexicon": ["a"], "pattern": "b"}, "^pattern permits no text at all"),
    ],
)
def test_what_cannot_be_done_is_said(options: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=complaint):
        Decoder(configured(tmp_path, options), SMALL)


def test_blocking_what_the_model_does_not_know_changes_nothing() -> None:
    line = random_log_probs(np.random.default_rng(6), 5, 4, 1.0)
    assert Decoder(DecodeConfig(block="é"), SMALL).decode([line]) == Decoder(DecodeConfig(), SMALL).decode([line])


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


@pytest.mark.parametrize(("content", "complaint"), [(None, "words.txt cannot be read"), (b"a\xff", "not UTF-8 \\(byte 1\\)")])
def test_a_lexicon_that_cannot_be_read_is_named(content: bytes | None, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    if content:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=complaint):
        Decoder(DecodeConfig(lexicon=str(path)), SMALL)


def test_the_patterns_of_the_documentation_permit_their_examples() -> None:
    page = (Path(__file__).parents[1] / "docs/decoding.md").read_text(encoding="utf-8")
    examples = re.findall(r"--pattern '(.+)' +# (.+)", page)
    assert len(examples) == 4
    charset = Charset("".join(map(chr, range(32, 127))))
    for pattern, example in examples:
        automaton = Pattern(pattern, charset, frozenset(range(1, charset.classes)))
        assert automaton.accepts(tuple(charset.encode(example)))
        assert not automaton.accepts(tuple(charset.encode(example[1:])))


def test_a_lexicon_of_a_hundred_thousand_words_is_compiled_in_seconds_and_used_by_many_threads(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    charset = Charset("abcdefghijklmnopqrstuvwxyz -")
    lengths = rng.integers(3, 12, size=100_000)
    words = ["".join(rng.choice(list(charset.characters[:26]), size=n)) for n in lengths]
    path = tmp_path / "words.txt"
    path.write_text("\n".join(words), encoding="utf-8")
    start = time.process_time()
    decoder = Decoder(DecodeConfig(beam=5, lexicon=str(path), pattern=".*-.*"), charset)
    assert time.process_time() - start < 10  # one or two on a slow core
    lines = [random_log_probs(rng, 30, charset.classes, 2.0) for _ in range(8)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda line: decoder.decode([line])[0], lines * 3))
    assert results == decoder.decode([*lines]) * 3
    known = set(words)
    for found in results:
        text = charset.decode(found[0].ids)
        assert "-" in text
        assert all(word in known for word in re.findall("[a-z]+", text))


def test_what_few_words_hold_is_found_without_looking_through_the_list_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    charset = Charset("abcdefghijklmnopqrstuvwxyz -")
    allowed = frozenset(range(1, charset.classes))
    words = ["".join(rng.choice(list("abcdefghijklmnoprstuvwxy"), size=n)) for n in rng.integers(3, 12, size=100_000)]
    asked, letters = "[a-z ]*zq[a-z ]*", len({word[:n] for word in words for n in range(len(word) + 1)})
    with pytest.raises(UsageError, match="permits no text"):
        Decoder(configured(tmp_path, {"lexicon": words, "pattern": asked}), charset)
    lexicon = Lexicon([*words, "abzqab"], charset, allowed, Pattern(asked, charset, allowed))
    # Every beginning of a word twice: on a line that has come past "zq" and on one that has not; after a word it ends.
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


HEBREW = Charset.from_texts(["אבג 12.", "(אב)", "ab"])


def on_paper_permitted(text: str, automaton: Automaton) -> bool:
    return automaton.accepts(tuple(HEBREW.encode(text)))


@pytest.mark.parametrize("pattern", [".{4}", "[אבג]+", r"\d\d", r"[ab]1|\d\.\d", ".*", r"[()אב]{3}", r"\(\d\)"])
def test_a_pattern_with_right_to_left_letters_permits_what_python_s_expressions_match_where_order_is_nothing(
    pattern: str,
) -> None:
    automaton = Pattern(pattern, HEBREW, frozenset(range(1, HEBREW.classes)))
    for text in ["אב12", "12אב", "אבג", "א12ב", "12", "2.1", "a1", "1a", "(אב", "אב)", "(1)", ")1(", "ab א", "א.", "גבא", ""]:
        assert on_paper_permitted(text, automaton) == bool(re.fullmatch(pattern, text)), text


@pytest.mark.parametrize("pattern", ["אב[12]{2}", r"\w+ \w+", r".*\d", "אב", r"[(אב]+", "ab|א"])
def test_a_pattern_that_asks_for_an_order_of_right_to_left_letters_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="run from right to left"):
        Pattern(pattern, HEBREW, frozenset(range(1, HEBREW.classes)))


def test_a_pattern_may_ask_for_any_order_where_right_to_left_letters_are_not_allowed() -> None:
    allowed = frozenset(filter(None, map(HEBREW.id_of, "ab12")))
    assert on_paper_permitted("ab12", Pattern(r"\D+\d+", HEBREW, allowed))


def test_a_lexicon_permits_right_to_left_lines_of_its_words() -> None:
    words = ["אב", "ג", "12", "ab", "בג1"]
    lexicon = Lexicon(words, HEBREW, frozenset(range(1, HEBREW.classes)))
    for count in (1, 2, 3):
        for chosen in itertools.product(words, repeat=count):
            for line in (" ".join(chosen), ". ".join(chosen) + ".", f"({' '.join(chosen)})"):
                assert on_paper_permitted(line, lexicon), line
    assert not any(on_paper_permitted(line, lexicon) for line in ["בא", "אב גג", "21", "ba", "1בג"])
