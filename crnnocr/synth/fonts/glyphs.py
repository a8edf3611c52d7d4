"""Whether a font draws a character as what it is, measured on the bitmaps that FreeType makes of it.

A variable font is measured at its default instance. For shaped scripts, raqm (HarfBuzz) joins letters by the font's GSUB table,
so a letter of such a script counts only if that table knows the script. GSUB never puts .notdef in a letter's place, so it is
enough to look at each character by itself.
"""

from __future__ import annotations

import functools
import statistics
import unicodedata
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from fontTools.unicodedata import ot_tags_from_script, script
from PIL import Image, ImageFont, features

from crnnocr.synth import trdg
from crnnocr.synth.fonts import files
from crnnocr.text.charset import JOINERS

_SIZE = 64
"""Pixels an em at which characters are measured."""
_GRID = 16
"""Cells along each side of the box in which shapes are compared."""
_ABSENT = "\U0010ffff"
"""No character, so that FreeType draws .notdef for it."""

_TWO_SHAPES = {"LATIN": "abdefghnqrt", "CYRILLIC": "абеђћ", "GREEK": "αβγδεζηλμνξσω"}
"""Letters whose two cases look different, by Unicode's name of their script."""
_ONE_CASE = 0.7
"""Median of `_Pair.similarity` from which a font has one case only. Over all families of trdg and `crnnocr[fonts]` it is at
least 0.9 in fonts of one case, and at most 0.48 in the others."""
_ONE_SHAPE = 0.92
"""Correlation from which a letter's two cases have one shape; at most 0.87 over the same families that have both."""
_SAME = 0.998
"""Correlation from which two bitmaps in one place are the same letter; a stroke through a letter leaves 0.994 at most."""
_SAME_BOX = 0.97
"""Correlation from which a bitmap is .notdef; lower, since FreeType may hint it differently under a letter's name."""
_SAME_DIGIT = 0.85
"""Correlation from which a digit has the shape of the European one: 0.9 if it is borrowed, otherwise 0.72 at most."""
_BORROWED = 4
"""Digits of that shape from which all are borrowed; 0 and one or two more are alike in many scripts."""
_LEVEL = 1.25
"""Ratio of heights: capitals have one height except for bowls and tails; small letters with ascenders are taller."""

_SHAPED = frozenset(
    ("Arab", "Beng", "Deva", "Gujr", "Guru", "Khmr", "Knda", "Mlym", "Mymr", "Orya", "Sinh", "Syrc", "Taml", "Telu", "Tibt")
)
"""Scripts whose letters GSUB joins, stacks or reorders (ISO 15924)."""

Shape = npt.NDArray[np.float64]


def has_raqm() -> bool:
    """Whether this Pillow can shape text."""
    return bool(features.check("raqm"))


@functools.cache
def of(path: Path, number: int) -> Glyphs:
    """The glyphs of a face; one object for all its variants."""
    return Glyphs(path, number)


class Glyphs:
    """The glyphs of one face of a font file, measured when they are asked for."""

    def __init__(self, path: Path, number: int) -> None:
        self._tables = files.load_faces(path)[number]
        self._font = ImageFont.truetype(str(path), _SIZE, index=number, layout_engine=ImageFont.Layout.BASIC)
        self._known: dict[str, bool] = {}
        self._cases_known: dict[str, Cases] = {}

    def draws(self, character: str) -> bool:
        """Whether a character is drawn as what it is: in ink, not as .notdef, with its marks, in its case."""
        known = self._known.get(character)
        if known is None:
            known = self._known[character] = self._measure(character)
        return known

    def _measure(self, character: str) -> bool:
        if character in JOINERS:
            return has_raqm()  # which hides them even if the font lacks them
        if character not in self._tables.characters or character in self._tables.confused or not self._shapes(character):
            return False
        try:
            return self._is_space(character) if character.isspace() else self._is_drawn(character)
        except OSError:  # FreeType finds this glyph broken
            return False

    def _shapes(self, character: str) -> bool:
        code = script(character)
        needless = code not in _SHAPED or unicodedata.category(character)[0] not in "LM"
        return needless or not self._tables.scripts.isdisjoint(ot_tags_from_script(code))

    def _is_space(self, character: str) -> bool:
        return not self._bitmap(character).inked and self._font.getlength(character) > 0

    def _is_drawn(self, character: str) -> bool:
        bitmap = self._bitmap(character)
        if not bitmap.inked or bitmap.same(self._notdef, _SAME_BOX):
            return False
        if bitmap.same(self._bitmap_if_there(_without_mark(character))) or self._borrows_digits(character):
            return False
        return unicodedata.category(character) not in ("Ll", "Lu") or self._keeps_case(character, bitmap)

    def _borrows_digits(self, character: str) -> bool:
        """Whether a digit of another script is drawn as the European digit of its value, as are several others of it."""
        value = unicodedata.decimal(character, None)
        if value is None or unicodedata.east_asian_width(character) in ("F", "Na"):  # ASCII and its wide forms
            return False
        bitmaps = ((self._bitmap_if_there(chr(ord(character) - value + i)), self._bitmap(str(i))) for i in range(10))
        return sum(bool(own and own.shape @ european.shape > _SAME_DIGIT) for own, european in bitmaps) >= _BORROWED

    def _keeps_case(self, character: str, bitmap: Bitmap) -> bool:
        cases = self._cases(unicodedata.name(character, "").partition(" ")[0])
        if cases.drawn is not DrawnCases.BOTH:
            return character.isupper() == (cases.drawn is DrawnCases.UPPER)
        other = character.swapcase()
        return other == character or not (character.lower() in cases.alike or bitmap.same(self._bitmap_if_there(other)))

    def _cases(self, kind: str) -> Cases:
        if kind not in self._cases_known:
            self._cases_known[kind] = _cases([pair for letter in _TWO_SHAPES.get(kind, "") if (pair := self._pair(letter))])
        return self._cases_known[kind]

    def _pair(self, letter: str) -> _Pair | None:
        small, capital = self._bitmap_if_there(letter), self._bitmap_if_there(letter.upper())
        return _Pair(letter, small, capital) if small and capital and small.inked and capital.inked else None

    @functools.cached_property
    def _notdef(self) -> Bitmap:
        return self._bitmap(_ABSENT)

    def _bitmap_if_there(self, character: str) -> Bitmap | None:
        return self._bitmap(character) if character in self._tables.characters else None

    def _bitmap(self, character: str) -> Bitmap:
        return Bitmap(*self._font.getmask2(character, mode="L"))


class Bitmap:
    """The ink of one character, and where it lies."""

    def __init__(self, core: Any, place: tuple[int, int]) -> None:
        self._core = core
        self._ink: tuple[int, int, int, int] | None = core.getbbox()
        left, top, right, bottom = self._ink or (0, 0, 0, 0)
        self._box = (left + place[0], top + place[1], right + place[0], bottom + place[1])

    @property
    def inked(self) -> bool:
        """Whether there is any ink."""
        return self._ink is not None

    @property
    def height(self) -> int:
        """Rows from the highest ink to the lowest."""
        return self._box[3] - self._box[1]

    @functools.cached_property
    def shape(self) -> Shape:
        """((_GRID + 2)²,) float64: the ink scaled to one box, with a margin, of mean 0 and length 1."""
        image = Image.frombytes("L", self._core.size, bytes(self._core)).crop(self._ink)
        ink = np.asarray(image.resize((_GRID, _GRID), Image.Resampling.BOX), dtype=np.float64)
        cells = np.pad(ink, 1).ravel()
        cells -= cells.mean()
        return cells / (np.linalg.norm(cells) or 1.0)

    def same(self, other: Bitmap | None, correlation: float = _SAME) -> bool:
        """Whether both are the same drawing in the same place."""
        if other is None or any(abs(mine - its) > 1 for mine, its in zip(self._box, other._box, strict=True)):
            return False
        return float(self.shape @ other.shape) > correlation


class DrawnCases(Enum):
    """The cases in which a font draws the letters of a script."""

    BOTH = "both"
    UPPER = "upper"
    LOWER = "lower"


@dataclass(frozen=True)
class Cases:
    """How a font treats case in one script."""

    drawn: DrawnCases
    """One case only if small letters are drawn as capitals, or the other way round."""
    alike: frozenset[str]
    """Small letters that look like their capitals in a font that draws both cases."""


class _Pair:
    """A letter whose two cases usually look different, as a font draws it."""

    def __init__(self, letter: str, small: Bitmap, capital: Bitmap) -> None:
        self.letter = letter
        self.height = capital.height
        reference_small, reference_capital = _reference(letter)
        self.case_similarity = float(small.shape @ capital.shape)
        """Correlation of the small letter with its capital."""
        self.similarity = self.case_similarity + float(small.shape @ reference_capital) - float(small.shape @ reference_small)
        """The same, and by how much the small letter is more similar to the reference's capital than to its small letter."""


def _cases(pairs: list[_Pair]) -> Cases:
    if len(pairs) < 3 or not _one_case(pairs):
        return Cases(DrawnCases.BOTH, frozenset(pair.letter for pair in pairs if pair.case_similarity > _ONE_SHAPE))
    low, _, high = statistics.quantiles((pair.height for pair in pairs), n=4)
    return Cases(DrawnCases.UPPER if high < _LEVEL * low else DrawnCases.LOWER, frozenset())


def _one_case(pairs: list[_Pair]) -> bool:
    similarity = statistics.median(pair.case_similarity for pair in pairs)
    return similarity > _ONE_SHAPE or statistics.median(pair.similarity for pair in pairs) > _ONE_CASE


@functools.cache
def _reference(letter: str) -> tuple[Shape, Shape]:
    """The shapes of a small letter and its capital in trdg's Roboto Regular."""
    path = next(path for path in trdg.open_font_files() if path.name == "Roboto-Regular.ttf")
    font = ImageFont.truetype(str(path), _SIZE, layout_engine=ImageFont.Layout.BASIC)
    small, capital = (Bitmap(*font.getmask2(each, mode="L")).shape for each in (letter, letter.upper()))
    return small, capital


def _without_mark(character: str) -> str:
    """The letter that is left if the marks of this one are not drawn; "" if it has none."""
    parts = unicodedata.normalize("NFD", character)
    if len(parts) > 1:
        return parts[0]
    name = unicodedata.name(character, "")
    plain = name.partition(" WITH ")[0].replace(" DOTLESS ", " ")
    try:
        return unicodedata.lookup(plain) if plain != name else ""
    except KeyError:
        return ""
