"""The texts of a file: its lines, or its running text cut into pieces of a length.

Of each text only its byte range in the file is kept, 16 bytes, so that the file may be larger than memory. Pieces of running
text that is not in NFC are kept themselves.
"""

from __future__ import annotations

import unicodedata
import warnings
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crnnocr.config import Range, Style, SynthConfig
from crnnocr.errors import DataError, UsageError
from crnnocr.files import decode_utf_8
from crnnocr.formatting import plural
from crnnocr.synth.languages import languages
from crnnocr.synth.rng import Random
from crnnocr.synth.text import Text, TextWarning, invisible_positions, normalize_text
from crnnocr.synth.text.vocabulary import is_mark, parse_charset
from crnnocr.text.charset import JOINERS, describe, nfc

_ONLY_INSIDE = frozenset(" " + JOINERS)
"""Characters that no piece begins or ends with."""

Span = tuple[int, int]
"""Start and end of a piece, in characters."""

BLOCK = 1 << 16
"""Characters of running text after which the end of a line counts as the end of a paragraph."""

_ENOUGH = 5000
"""Characters that are enough for any piece."""

_BOM = "\ufeff".encode()

_MAX_NAMED = 5
"""Undrawable characters that a message names."""

_SPACES = np.array([chr(code).isspace() for code in range(0x3002)])
"""Whether each code point is white space; the last one stands for all after it."""

ByteRange = tuple[int, int]
"""First byte of a text and the one after its last."""


class TextFile:
    """The texts of a file in order, again from the first after the last, without those that no font draws."""

    def __init__(self, config: SynthConfig, drawable: frozenset[str]) -> None:
        """Warns with one `TextWarning` about all texts that are not `drawable`."""
        assert config.text is not None
        self._path = Path(config.text)
        self._lang = config.lang[0]
        self._is_display = config.style is Style.DISPLAY
        self._ranges = array("q")  # two numbers a text: its byte range, or -1 and its place in `_composed`
        self._composed: list[str] = []
        allowed = None if config.charset is None else parse_charset(config.charset)
        seen: set[str] = set()
        excluded, undrawable = 0, dict[str, None]()
        for byte_range, text in self._pieces(config) if config.words or config.chars else self._lines():
            if allowed is not None and not allowed.issuperset(text):
                continue
            if not drawable.issuperset(text):
                excluded += 1
                undrawable.update((c, None) for c in text if c not in drawable)
            else:
                seen.update(text)
                self._ranges.extend(byte_range or (-1, len(self._composed)))
                self._composed.extend(() if byte_range else (text,))
        if not self._ranges:
            raise DataError(self._undrawable(list(undrawable)) if undrawable else self._why_none(config))
        if excluded:
            message = f"{plural(excluded, 'text')} left out: {self._undrawable(list(undrawable))}"
            warnings.warn(message, TextWarning, stacklevel=2)
        self.charset = "".join(sorted(seen))

    def __call__(self, index: int, style: Style, rng: np.random.Generator) -> Text:
        """Text `index` of the file."""
        start, end = self._ranges[2 * (index % self.count) : 2 * (index % self.count) + 2]
        return Text(self._composed[end] if start < 0 else self._load(start, end), self._lang)

    @property
    def count(self) -> int:
        """Number of texts."""
        return len(self._ranges) // 2

    def _load(self, start: int, end: int) -> str:
        with self._path.open("rb") as file:
            file.seek(start)
            return normalize_text(file.read(end - start).decode(errors="replace"))

    def _undrawable(self, characters: list[str]) -> str:
        """The message that no font draws `characters`, with the line of the first."""
        line = next(number for number, (_, line) in enumerate(self._decoded(), 1) if characters[0] in normalize_text(line))
        more = f" and {len(characters) - _MAX_NAMED} more" if len(characters) > _MAX_NAMED else ""
        named = ", ".join(map(describe, characters[:_MAX_NAMED])) + more
        if self._is_display:
            return f"no display shows {named}, first in {self._path}, line {line}: take them out, or choose another `style`"
        return f"no font here draws {named}, first in {self._path}, line {line}: take them out, or add a font with `fonts`"

    def _why_none(self, config: SynthConfig) -> str:
        if not any(normalize_text(line) for _, line in self._decoded()):
            return f"{self._path} holds no text"
        length = " of that length (`words`, `chars`)" if config.words or config.chars else ""
        return f"{self._path} holds no text{length}{'' if config.charset is None else ' that `charset` can write'}"

    def _decoded(self) -> Iterator[tuple[int, str]]:
        """The lines, split as by `str.splitlines`, each with its first byte."""
        start = 0
        try:
            with self._path.open("rb") as file:
                start = len(_BOM) if file.read(len(_BOM)) == _BOM else 0
                file.seek(start)
                for raw in file:
                    for line in decode_utf_8(raw, self._path, start).splitlines(keepends=True):
                        yield start, line
                        start += len(line.encode())
        except OSError as error:
            raise UsageError(f"cannot read `text={self._path}`: {error.strerror}") from error

    def _lines(self) -> Iterator[tuple[ByteRange, str]]:
        for start, line in self._decoded():
            text = normalize_text(line)
            if text:
                yield (start, start + len(line.encode())), text

    def _pieces(self, config: SynthConfig) -> Iterator[tuple[ByteRange | None, str]]:
        [language] = languages([self._lang])
        spaced = language.script.spaced
        if config.words and not spaced:
            raise UsageError(f"{language.name} sets no spaces between words: cut `text={self._path}` by `chars`")
        rng = Random(np.random.default_rng(config.seed))
        for first, block in self._blocks(config):
            text, starts = _normalized(block, first)
            composed = unicodedata.is_normalized("NFC", text)
            text = nfc(text)
            for start, end in pieces(text, config.words, config.chars, spaced, rng):
                yield (int(starts[start]), int(starts[end])) if composed else None, text[start:end]

    def _blocks(self, config: SynthConfig) -> Iterator[tuple[int, str]]:
        """Paragraphs, each with its first byte. One that is too short for a piece is joined with its neighbors."""
        block, first = "", 0
        for start, paragraph in self._paragraphs():
            if block and _has_piece(block, config) and (_has_piece(paragraph, config) or len(block) > BLOCK):
                yield first, block
                block = ""
            first = first if block else start
            block += paragraph
        if block:
            yield first, block

    def _paragraphs(self) -> Iterator[tuple[int, str]]:
        paragraph: list[str] = []
        first, length = 0, 0
        for start, line in self._decoded():
            first = first if paragraph else start
            paragraph.append(line)
            length += len(line)
            if length > BLOCK or not line.strip():
                yield first, "".join(paragraph)
                paragraph, length = [], 0
        if paragraph:
            yield first, "".join(paragraph)


def _has_piece(block: str, config: SynthConfig) -> bool:
    """Whether `block` is long enough for a piece."""
    min_words, min_chars = (config.words or (1, 1))[0], (config.chars or (1, 1))[0]
    start = normalize_text(block[:_ENOUGH])
    return len(start) >= min_chars and start.count(" ") + 1 >= min_words


def _normalized(block: str, first: int) -> tuple[str, npt.NDArray[np.int64]]:
    """`block` as `normalize_text` gives it except for NFC, and the byte where each of its characters begins and the last ends.

    Vectorized, for files that are larger than memory.
    """
    codes = np.frombuffer(block.encode("utf-32-le"), dtype="<u4")
    ends = first + np.cumsum(1 + (codes > 0x7F) + (codes > 0x7FF) + (codes > 0xFFFF))
    begins = np.append(first, ends[:-1])
    invisible = invisible_positions(block)
    codes, begins, ends = (np.delete(values, invisible) for values in (codes, begins, ends))
    white = _SPACES[np.minimum(codes, len(_SPACES) - 1)]
    inked = np.flatnonzero(~white)
    if not len(inked):
        return "", ends[:0]
    kept = np.flatnonzero(~white | ~np.append(True, white[:-1]))
    kept = kept[(kept >= inked[0]) & (kept <= inked[-1])]
    text = np.where(white, 0x20, codes)[kept].astype("<u4").tobytes().decode("utf-32-le")
    return text, np.append(begins[kept], ends[inked[-1]])


def pieces(text: str, words: Range | None, chars: Range | None, spaced: bool, rng: Random) -> Iterator[Span]:
    """Starts and ends of consecutive pieces of a normalized `text` that have so many words, or characters, or both.

    With characters only, a piece ends with a word if one ends at such a length; otherwise, and in scripts without spaces, at
    any character. The last piece reaches back into the one before it, so that it is long enough too. Only what fits into no
    piece is left out: a text that is too short, or a word that is too long beside its neighbors.
    """
    if words:
        yield from _of_words(text, words, chars or (1, len(text)), rng)
    elif chars:
        yield from _of_characters(text, chars, spaced, rng)


def _of_words(text: str, words: Range, chars: Range, rng: Random) -> Iterator[Span]:
    ends = [end - 1 for end in accumulate(len(word) + 1 for word in text.split(" "))]
    starts = [0, *(end + 1 for end in ends[:-1])]
    first, count = 0, len(ends)
    while first < count:
        min_words = max(words[0], bisect_left(ends, starts[first] + chars[0]) - first + 1)
        max_words = min(words[1], bisect_right(ends, starts[first] + chars[1]) - first)
        if min_words <= max_words:
            size = rng.randint(min_words, max_words)
            yield starts[first], ends[first + size - 1]
            first += size
        elif first + min_words <= count:
            first += 1
        else:
            fitting = range(max(0, count - words[1]), max(0, count - words[0] + 1))
            lasts = [start for start in fitting if chars[0] <= len(text) - starts[start] <= chars[1]]
            if lasts:
                yield starts[lasts[-1]], len(text)
            return


def _of_characters(text: str, chars: Range, spaced: bool, rng: Random) -> Iterator[Span]:
    start = 0
    while start < len(text):
        piece = _at_words(text, start, chars, rng) if spaced else None
        piece = piece or _anywhere(text, start, chars, rng)
        if piece:
            yield piece
        # A character that no piece reaches is skipped.
        start = piece[1] if piece else start + 1
        start += text[start : start + 1] in _ONLY_INSIDE


def _at_words(text: str, start: int, chars: Range, rng: Random) -> Span | None:
    """A piece that ends with a word and begins at `start`, or else with the last possible word before that."""
    wish = rng.randint(*chars)
    begin = start
    while begin >= 0:
        end = _word_end(text, begin, wish, chars)
        if end > start:
            return begin, end
        if begin <= max(0, start - chars[1]):
            break
        begin = text.rfind(" ", 0, begin - 1) + 1
    return None


def _word_end(text: str, begin: int, wish: int, chars: Range) -> int:
    """The end of the last word within the length `wish`, or else of the next word; -1 if there is none."""
    if begin + chars[0] <= len(text) <= begin + wish:
        return len(text)
    end = text.rfind(" ", begin + chars[0], begin + wish + 1)
    if end < 0:
        end = text.find(" ", begin + wish + 1, begin + chars[1] + 1)
    return len(text) if end < 0 and begin + wish < len(text) <= begin + chars[1] else end


def _anywhere(text: str, start: int, chars: Range, rng: Random) -> Span | None:
    """A piece that begins at `start`, or else at the last possible character before that."""
    wish = rng.randint(*chars)
    for begin in range(start, max(-1, start - chars[1]), -1):
        for end in _possible_ends(begin, wish, chars):
            if start < end and _is_piece(text, begin, end):
                return begin, end
    return None


def _possible_ends(begin: int, wish: int, chars: Range) -> Iterator[int]:
    """Where a piece may end: first at the length `wish`, then shorter, then longer."""
    yield from range(begin + wish, begin + chars[0] - 1, -1)
    yield from range(begin + wish + 1, begin + chars[1] + 1)


def _is_piece(text: str, start: int, end: int) -> bool:
    if end > len(text) or text[start] in _ONLY_INSIDE or text[end - 1] in _ONLY_INSIDE or is_mark(text[start]):
        return False
    return end == len(text) or not is_mark(text[end])
