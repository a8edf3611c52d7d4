"""Running text cut into pieces of a length.

The texts of a file: its lines, or its running text in pieces.

Only their places in the file are kept, 16 bytes a text, so that the file may be larger than memory; where running text is not
in NFC, its pieces are kept themselves.
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
from crnnocr.synth.languages import languages
from crnnocr.synth.rng import Chance
from crnnocr.synth.text import Text, TextWarning, hidden, tidy
from crnnocr.synth.text.corpus import is_mark
from crnnocr.synth.text.vocabulary import characters
from crnnocr.text.charset import JOINERS, describe, nfc

_INSIDE = frozenset(" " + JOINERS)
"""Characters that no piece begins or ends with."""


def pieces(text: str, words: Range | None, chars: Range | None, spaced: bool, chance: Chance) -> Iterator[Range]:
    """Where pieces of a tidy `text` begin and end, from its first to its last, of so many words or characters or both.

    With characters alone a piece ends with a word, if one ends at such a length (in scripts without spaces, and where none
    does, at any character). The last piece reaches back into the one before it, so that it is long enough too. Only what
    fits into no piece is left out: a text that is too short; a word that is too long beside its neighbours.
    """
    if words:
        yield from _of_words(text, words, chars or (1, len(text)), chance)
    elif chars:
        yield from _of_characters(text, chars, spaced, chance)


def _of_words(text: str, words: Range, chars: Range, chance: Chance) -> Iterator[Range]:
    ends = [end - 1 for end in accumulate(len(word) + 1 for word in text.split(" "))]
    starts = [0, *(end + 1 for end in ends[:-1])]
    first, count = 0, len(ends)
    while first < count:
        fewest = max(words[0], bisect_left(ends, starts[first] + chars[0]) - first + 1)
        most = min(words[1], bisect_right(ends, starts[first] + chars[1]) - first)
        if fewest <= most:
            size = chance.between(fewest, most)
            yield starts[first], ends[first + size - 1]
            first += size
        elif first + fewest <= count:
            first += 1
        else:
            fitting = range(max(0, count - words[1]), max(0, count - words[0] + 1))
            lasts = [start for start in fitting if chars[0] <= len(text) - starts[start] <= chars[1]]
            if lasts:
                yield starts[lasts[-1]], len(text)
            return


def _of_characters(text: str, chars: Range, spaced: bool, chance: Chance) -> Iterator[Range]:
    start = 0
    while start < len(text):
        piece = _at_words(text, start, chars, chance) if spaced else None
        piece = piece or _anywhere(text, start, chars, chance)
        if piece:
            yield piece
        # A character that no piece reaches is passed over.
        start = piece[1] if piece else start + 1
        start += text[start : start + 1] in _INSIDE


def _at_words(text: str, start: int, chars: Range, chance: Chance) -> Range | None:
    """A piece that ends where a word does and begins at `start`, or else with a word before it, the last there is."""
    wish = chance.between(*chars)
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
    """Where the last word ends that is within the length that is wished for, or else the next one; -1 if none is."""
    if begin + chars[0] <= len(text) <= begin + wish:
        return len(text)
    end = text.rfind(" ", begin + chars[0], begin + wish + 1)
    if end < 0:
        end = text.find(" ", begin + wish + 1, begin + chars[1] + 1)
    return len(text) if end < 0 and begin + wish < len(text) <= begin + chars[1] else end


def _anywhere(text: str, start: int, chars: Range, chance: Chance) -> Range | None:
    """A piece that begins at `start`, or else before it, the last there is."""
    wish = chance.between(*chars)
    for begin in range(start, max(-1, start - chars[1]), -1):
        for end in _wished(begin, wish, chars):
            if start < end and _is_piece(text, begin, end):
                return begin, end
    return None


def _wished(begin: int, wish: int, chars: Range) -> Iterator[int]:
    """Where a piece may end: first where it is of the length that is wished for, then shorter, then longer."""
    yield from range(begin + wish, begin + chars[0] - 1, -1)
    yield from range(begin + wish + 1, begin + chars[1] + 1)


def _is_piece(text: str, start: int, end: int) -> bool:
    if end > len(text) or text[start] in _INSIDE or text[end - 1] in _INSIDE or is_mark(text[start]):
        return False
    return end == len(text) or not is_mark(text[end])


BLOCK = 1 << 16
"""Characters of running text after which the end of a line is taken for that of a paragraph."""

_ENOUGH = 5000
"""Characters that are enough for any piece."""

_BOM = "\ufeff".encode()

_NAMED = 5
"""Characters that no font draws which a message names."""

_SPACES = np.array([chr(code).isspace() for code in range(0x3002)])
"""For each code point, the last one standing for all after it, whether it is white space."""

Place = tuple[int, int]
"""First byte of a text and the one after its last."""


class TextFile:
    """The texts of a file in turn, again from the first after the last; those that no font draws are set aside."""

    def __init__(self, config: SynthConfig, drawable: frozenset[str]) -> None:
        """Warns once with a `TextWarning` of texts with characters that are not `drawable`."""
        assert config.text is not None
        self._path = Path(config.text)
        self._lang = config.lang[0]
        self._places = array("q")
        self._kept: list[str] = []
        allowed = None if config.charset is None else characters(config.charset)
        seen: set[str] = set()
        aside, undrawn = 0, dict[str, None]()
        for place, text in self._pieces(config) if config.words or config.chars else self._lines():
            if allowed is not None and not allowed.issuperset(text):
                continue
            if not drawable.issuperset(text):
                aside += 1
                undrawn.update((c, None) for c in text if c not in drawable)
            else:
                seen.update(text)
                self._places.extend(place or (-1, len(self._kept)))
                self._kept.extend(() if place else (text,))
        if not self._places:
            raise DataError(self._undrawn(list(undrawn)) if undrawn else self._why_none(config))
        if aside:
            texts = "1 text" if aside == 1 else f"{aside} texts"
            warnings.warn(f"{texts} left out: {self._undrawn(list(undrawn))}", TextWarning, stacklevel=2)
        self.charset = "".join(sorted(seen))

    def __call__(self, index: int, style: Style, rng: np.random.Generator) -> Text:
        """Text `index` of the file."""
        start, end = self._places[2 * (index % self.count) : 2 * (index % self.count) + 2]
        return Text(self._kept[end] if start < 0 else self._read(start, end), self._lang)

    @property
    def count(self) -> int:
        """How many texts there are."""
        return len(self._places) // 2

    def _read(self, start: int, end: int) -> str:
        with self._path.open("rb") as file:
            file.seek(start)
            return tidy(file.read(end - start).decode(errors="replace"))

    def _undrawn(self, characters: list[str]) -> str:
        """Which characters no font draws, and where the first of them is."""
        line = next(number for number, (_, line) in enumerate(self._decoded(), 1) if characters[0] in tidy(line))
        more = f" and {len(characters) - _NAMED} more" if len(characters) > _NAMED else ""
        named = ", ".join(map(describe, characters[:_NAMED])) + more
        return f"no font here draws {named}, first in {self._path}, line {line}: take them out, or add a font with --fonts"

    def _why_none(self, config: SynthConfig) -> str:
        if not any(tidy(line) for _, line in self._decoded()):
            return f"{self._path} holds no text"
        length = " of that length (--words, --chars)" if config.words or config.chars else ""
        return f"{self._path} holds no text{length}{'' if config.charset is None else ' that --charset can spell'}"

    def _decoded(self) -> Iterator[tuple[int, str]]:
        """The lines with their first bytes, as `str.splitlines` parts them."""
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
            raise UsageError(f"cannot read --text {self._path}: {error.strerror}") from error

    def _lines(self) -> Iterator[tuple[Place, str]]:
        for start, line in self._decoded():
            text = tidy(line)
            if text:
                yield (start, start + len(line.encode())), text

    def _pieces(self, config: SynthConfig) -> Iterator[tuple[Place | None, str]]:
        [language] = languages([self._lang])
        spaced = language.script.spaced
        if config.words and not spaced:
            raise UsageError(f"{language.name} sets no spaces between words: cut --text {self._path} by --chars")
        chance = Chance(np.random.default_rng(config.seed))
        for first, block in self._blocks(config):
            text, starts = _tidied(block, first)
            composed = unicodedata.is_normalized("NFC", text)
            text = nfc(text)
            for start, end in pieces(text, config.words, config.chars, spaced, chance):
                yield (int(starts[start]), int(starts[end])) if composed else None, text[start:end]

    def _blocks(self, config: SynthConfig) -> Iterator[tuple[int, str]]:
        """Paragraphs with their first bytes; one that is too short for a piece goes with those before or after it."""
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
    fewest, least = (config.words or (1, 1))[0], (config.chars or (1, 1))[0]
    start = tidy(block[:_ENOUGH])
    return len(start) >= least and start.count(" ") + 1 >= fewest


def _tidied(block: str, first: int) -> tuple[str, npt.NDArray[np.int64]]:
    """`block` with single spaces, inside only, without what is drawn as nothing.

    With it the byte where each of its characters begins, and where the last ends.
    """
    codes = np.frombuffer(block.encode("utf-32-le"), dtype="<u4")
    ends = first + np.cumsum(1 + (codes > 0x7F) + (codes > 0x7FF) + (codes > 0xFFFF))
    begins = np.append(first, ends[:-1])
    undrawn = hidden(block)
    codes, begins, ends = (np.delete(values, undrawn) for values in (codes, begins, ends))
    white = _SPACES[np.minimum(codes, len(_SPACES) - 1)]
    inked = np.flatnonzero(~white)
    if not len(inked):
        return "", ends[:0]
    kept = np.flatnonzero(~white | ~np.append(True, white[:-1]))
    kept = kept[(kept >= inked[0]) & (kept <= inked[-1])]
    text = np.where(white, 0x20, codes)[kept].astype("<u4").tobytes().decode("utf-32-le")
    return text, np.append(begins[kept], ends[inked[-1]])
