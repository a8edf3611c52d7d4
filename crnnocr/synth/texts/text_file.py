"""The texts of a file: its lines, or its running text in pieces.

Only their places in the file are kept, 16 bytes a text, so that the file may be larger than memory; where running text is not
in NFC, its pieces are kept themselves.
"""

from __future__ import annotations

import unicodedata
import warnings
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crnnocr.charset import describe, normalise
from crnnocr.config import Style, SynthConfig
from crnnocr.errors import DataError, UsageError
from crnnocr.synth.languages import languages
from crnnocr.synth.texts import Text, TextWarning, hidden, tidy
from crnnocr.synth.texts.chance import Chance
from crnnocr.synth.texts.running import pieces
from crnnocr.synth.texts.stock import characters

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
                    for line in raw.decode().splitlines(keepends=True):
                        yield start, line
                        start += len(line.encode())
        except OSError as error:
            raise UsageError(f"cannot read --text {self._path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{self._path} is not UTF-8 (byte {start + error.start}): save it as UTF-8") from error

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
            text = normalise(text)
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
