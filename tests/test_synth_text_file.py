"""The texts of a file: its lines, or its running text in pieces."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_texts import ALL, is_normalized, some_texts

from crnnocr.config import Range, SynthConfig
from crnnocr.errors import DataError, UsageError
from crnnocr.synth import text as texts
from crnnocr.synth.languages import LANGUAGES
from crnnocr.synth.rng import Random
from crnnocr.synth.text.text_file import BLOCK, TextFile, pieces


def file_source(path: Path, text: str | bytes, **options: Any) -> TextFile:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    source = texts.create_source(SynthConfig(text=str(path), **options), ALL)
    assert isinstance(source, TextFile)
    return source


def whole(source: TextFile) -> list[str]:
    """All texts of a file, in order."""
    lines = some_texts(source, source.count + 1)
    assert lines[-1] == lines[0]  # again from the first
    return lines[:-1]


def test_lines_of_a_file_come_in_order(tmp_path: Path) -> None:
    text = "\ufeffeins  zwei \r\n\r\n\t\nGru\u0308ße\rdrei\u2028vier\n x "
    assert whole(file_source(tmp_path / "a.txt", text)) == ["eins zwei", "Grüße", "drei", "vier", "x"]
    assert texts.create_source(SynthConfig(text=str(tmp_path / "a.txt")), ALL).charset == "".join(
        sorted(set("eins zweiGrüßedreivierx"))
    )


def test_texts_of_a_file_that_the_charset_cannot_write_are_left_out(tmp_path: Path) -> None:
    lines = "abba\nabc\na b\nba\n"
    assert whole(file_source(tmp_path / "a.txt", lines, charset="ab")) == ["abba", "ba"]
    assert whole(file_source(tmp_path / "a.txt", lines, charset="ab", words=(1, 1))) == ["abba", "a", "b", "ba"]
    with pytest.raises(DataError, match=r"a\.txt holds no text that `charset` can write"):
        file_source(tmp_path / "a.txt", lines, charset="xyz")


def test_texts_of_a_file_that_no_font_draws_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    drawable = frozenset("abcdefghij ")
    path.write_text("abc\n\nd 😀\ne\u200bf\nghé😀\n😀 xyzwv\n")
    with pytest.warns(texts.TextWarning) as warned:
        source = texts.create_source(SynthConfig(text=str(path)), drawable)
    assert some_texts(source, 3) == ["abc", "ef", "abc"]
    assert source.charset == "abcef"
    [warning] = warned
    message = str(warning.message)
    assert message.startswith("3 texts left out: no font here draws '😀' (U+1F600 GRINNING FACE), 'é' (U+00E9 ")
    assert f"'z' (U+007A LATIN SMALL LETTER Z) and 2 more, first in {path}, line 3: " in message
    with pytest.warns(texts.TextWarning, match=r"^2 texts left out: .*line 3"):
        pieces_of = texts.create_source(SynthConfig(text=str(path), charset="abcd😀 ", words=(1, 1)), drawable)
    assert some_texts(pieces_of, 2) == ["abc", "d"]
    path.write_text("😀\n")
    with pytest.raises(DataError, match=r"no font here draws '😀' .*a\.txt, line 1: take them out"):
        texts.create_source(SynthConfig(text=str(path)), drawable)


@pytest.mark.parametrize("chars", [(4, 9), (3, 3)])
def test_pieces_have_no_invisible_characters_and_no_joiner_at_the_ends(chars: Range, tmp_path: Path) -> None:
    story = "\ufeff\u200bمی\u200cخواهم co\u00adop کتاب\u200cهایم \u200b را نمی\u200c\u200cدانم " * 9
    lines = whole(file_source(tmp_path / "fa.txt", story, lang=("fa",), chars=chars))
    assert all(chars[0] <= len(line) <= chars[1] and line.strip("\u200c ") == line for line in lines)
    assert "\u200c" in "".join(lines)
    assert set("".join(lines)) == set(story) - set("\ufeff\u200b\u00ad")


def test_a_file_that_cannot_be_used_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    options: dict[str, Range]
    for options in ({}, {"words": (1, 2)}, {"chars": (3, 3)}):
        path.unlink(missing_ok=True)
        with pytest.raises(UsageError, match=r"cannot read `text=.*lines\.txt`: No such file"):
            texts.create_source(replace(SynthConfig(text=str(path)), **options), ALL)  # type: ignore[arg-type]
        with pytest.raises(DataError, match=r"lines\.txt holds no text$"):
            file_source(path, " \n\n", **options)
        with pytest.raises(DataError, match=r"lines\.txt is not UTF-8 \(byte 7\)"):  # "Gut\n\nGr" is 7 bytes long
            file_source(path, "Gut\n\nGrüße".encode("latin-1"), **options)
    with pytest.raises(DataError, match=r"holds no text of that length"):
        file_source(path, "too short", chars=(50, 60))
    with pytest.raises(UsageError, match="`chars`"):
        file_source(path, "没有空格", lang=("zh",), words=(2, 2))
    for lang in ("zh", "ja", "th"):
        with pytest.raises(UsageError, match=f"{LANGUAGES[lang].name} sets no spaces between words: .*`chars`"):
            texts.create_source(SynthConfig(lang=("en", lang), words=(2, 2)), ALL)


STORY = (
    "It was  the best of times, it was the worst\r\nof times; it was\tan age of wisdom.\r\n\r\n"
    "Grüße, Здравствуй, naïve – €5!\n\nA heading\n\n" + "".join(f"word{i} of number {i} stands\nhere " for i in range(60))
)


def covers(lines: list[str], story: str) -> bool:
    """Whether the lines cover all of the story in order: each begins in or right after the one before it."""
    story_text, end = " ".join(story.split()), 0
    for line in lines:
        starts = [i for i in range(max(0, end - len(line)), end + 2) if story_text.startswith(line, i)]
        if not starts:
            return False
        end = max(end, starts[-1] + len(line))
    return end == len(story_text)


@pytest.mark.parametrize("words", [(1, 1), (3, 3), (2, 6), (20, 25)])
def test_running_text_is_cut_into_pieces_of_words(words: Range, tmp_path: Path) -> None:
    lines = whole(file_source(tmp_path / "story.txt", STORY, words=words))
    assert {len(line.split(" ")) for line in lines} <= set(range(words[0], words[1] + 1))
    assert all(map(is_normalized, lines))
    assert covers(lines, STORY)


@pytest.mark.parametrize("chars", [(12, 30), (20, 25), (60, 90)])
def test_running_text_is_cut_into_pieces_of_characters_at_the_ends_of_words(chars: Range, tmp_path: Path) -> None:
    lines = whole(file_source(tmp_path / "story.txt", STORY, chars=chars))
    assert all(chars[0] <= len(line) <= chars[1] and is_normalized(line) for line in lines)
    assert covers(lines, STORY)
    whole_words = set(STORY.split())
    assert sum(set(line.split()) <= whole_words for line in lines) > 0.9 * len(lines)


def test_pieces_keep_both_kinds_of_limits(tmp_path: Path) -> None:
    lines = whole(file_source(tmp_path / "story.txt", STORY, words=(2, 4), chars=(8, 24)))
    assert all(2 <= len(line.split(" ")) <= 4 and 8 <= len(line) <= 24 for line in lines)
    assert covers(lines, STORY)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_pieces_of_one_exact_length_cover_all_that_is_possible(length: int, tmp_path: Path) -> None:
    story_text = "A tale of b cd efg, hijk (lmnop) q rstuvwx yzABCDEFGHIJKLMN – O."
    lines = whole(file_source(tmp_path / "story.txt", story_text, chars=(length, length)))
    assert {len(line) for line in lines} == {length}
    assert all(map(is_normalized, lines))
    possible = [i for i in range(len(story_text) - length + 1) if is_normalized(story_text[i : i + length])]
    for place, character in enumerate(story_text):
        if character != " " and any(i <= place < i + length for i in possible):
            assert any(story_text[i : i + length] in lines for i in possible if i <= place < i + length), place


def test_text_without_spaces_is_cut_anywhere_except_before_a_mark(tmp_path: Path) -> None:
    story = "ภาษาไทยเป็นภาษาที่มีระดับเสียงของคำแน่นอนหรือวรรณยุกต์เช่นเดียวกับภาษาจีน" * 5
    lines = whole(file_source(tmp_path / "thai.txt", story, lang=("th",), chars=(5, 9)))
    assert "".join(lines).startswith(story[:60])
    assert all(5 <= len(line) <= 9 for line in lines)
    assert not [line for line in lines if unicodedata.category(line[0])[0] == "M"]


def test_decomposed_running_text_is_composed_before_it_is_measured(tmp_path: Path) -> None:
    story = "Grüße über Äcker fähiger Köche " * 8
    lines = whole(file_source(tmp_path / "nfd.txt", unicodedata.normalize("NFD", story), chars=(10, 14)))
    assert lines == whole(file_source(tmp_path / "nfc.txt", story, chars=(10, 14)))


def test_a_paragraph_ends_a_piece_if_both_are_long_enough(tmp_path: Path) -> None:
    story = "one two three four five six\n\nseven eight nine ten\n\nlast\n"
    assert whole(file_source(tmp_path / "a.txt", story, words=(4, 4))) == [
        "one two three four",
        "three four five six",
        "seven eight nine ten",
        "eight nine ten last",
    ]


def test_a_text_without_paragraphs_is_read_in_blocks(tmp_path: Path) -> None:
    story = "".join(f"line {i} of a long text\n" for i in range(2 * BLOCK // 20))
    source = file_source(tmp_path / "long.txt", story, words=(6, 6))
    words = " ".join(whole(source)).split(" ")
    assert set(story.split()) == set(words)
    assert words[:6000] == story.split()[:6000]


@pytest.mark.parametrize(("words", "chars"), [((3, 3), None), (None, (4, 4)), ((2, 2), (3, 3))])
def test_a_text_that_is_too_short_has_no_pieces(words: Range | None, chars: Range | None) -> None:
    rng = Random(np.random.default_rng(0))
    assert list(pieces("a b" if words == (3, 3) else "abc", words, chars, spaced=True, rng=rng)) == []
