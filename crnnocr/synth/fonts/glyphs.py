"""Whether a font draws a character as what it is: measured on the pictures that FreeType makes of it.

A variable font is measured at its default instance. What is relied on for shaped scripts: raqm (HarfBuzz) puts letters
together by the font's GSUB table, so a letter of such a script counts only where that table knows the script; and GSUB never
puts .notdef in a letter's place, so it is enough to look at each character by itself.
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
"""Pixels an em that characters are measured at."""
_GRID = 16
"""Cells along a side of the box that shapes are compared in."""
_ABSENT = "\U0010ffff"
"""No character, so that FreeType draws .notdef for it."""

_TWO_SHAPES = {"LATIN": "abdefghnqrt", "CYRILLIC": "абеђћ", "GREEK": "αβγδεζηλμνξσω"}
"""Letters that look different in their two cases, by what Unicode calls their script."""
_ONE_CASE = 0.7
"""Median of `_Pair.likeness` from which a font has one case only: over all families of trdg and `crnnocr[fonts]` it is 0.9 at
least in those that have, and 0.48 at most in the others."""
_ONE_SHAPE = 0.92
"""Correlation from which a letter's two cases are one shape: 0.87 at most over the same families that have both."""
_SAME = 0.998
"""Correlation from which two pictures in one place are the same letter: a stroke through a letter leaves 0.994 at most."""
_SAME_BOX = 0.97
"""Correlation from which they are .notdef: less, for FreeType may hint it in another way under a letter's name."""
_SAME_DIGIT = 0.85
"""Correlation from which a digit has the shape of the European one: 0.9 where it is borrowed, 0.72 at most elsewhere."""
_BORROWED = 4
"""Digits of that shape that mean that all are borrowed; 0 and one or two more are alike in many scripts."""
_LEVEL = 1.25
"""Capitals are of one height but for bowls and tails; among small letters those with ascenders are more than this taller."""

_SHAPED = frozenset(
    ("Arab", "Beng", "Deva", "Gujr", "Guru", "Khmr", "Knda", "Mlym", "Mymr", "Orya", "Sinh", "Syrc", "Taml", "Telu", "Tibt")
)
"""Scripts whose letters are joined, stacked or put in order by GSUB (ISO 15924)."""

Shape = npt.NDArray[np.float64]


def has_raqm() -> bool:
    """Whether this Pillow can shape text."""
    return bool(features.check("raqm"))


@functools.cache
def of(path: Path, number: int) -> Glyphs:
    """The glyphs of a face, one object for all its variants."""
    return Glyphs(path, number)


class Glyphs:
    """What one face of a font file draws, looked at when it is asked for."""

    def __init__(self, path: Path, number: int) -> None:
        self._tables = files.read(path)[number]
        self._font = ImageFont.truetype(str(path), _SIZE, index=number, layout_engine=ImageFont.Layout.BASIC)
        self._known: dict[str, bool] = {}
        self._cases_known: dict[str, Cases] = {}

    def draws(self, character: str) -> bool:
        """Whether the character is drawn as what it is: in ink, not as .notdef, with its marks, in its case."""
        known = self._known.get(character)
        if known is None:
            known = self._known[character] = self._measure(character)
        return known

    def _measure(self, character: str) -> bool:
        if character in JOINERS:
            return has_raqm()  # which hides them, whether the font has them or not
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
        return not self._picture(character).inked and self._font.getlength(character) > 0

    def _is_drawn(self, character: str) -> bool:
        picture = self._picture(character)
        if not picture.inked or picture.same(self._notdef, _SAME_BOX):
            return False
        if picture.same(self._picture_if_there(_without_mark(character))) or self._borrows_digits(character):
            return False
        return unicodedata.category(character) not in ("Ll", "Lu") or self._keeps_case(character, picture)

    def _borrows_digits(self, character: str) -> bool:
        """Whether a digit of another script is drawn as the European one that has its value, and so are others of it."""
        value = unicodedata.decimal(character, None)
        if value is None or unicodedata.east_asian_width(character) in ("F", "Na"):  # ASCII's own, and the wide forms of them
            return False
        pictures = ((self._picture_if_there(chr(ord(character) - value + i)), self._picture(str(i))) for i in range(10))
        return sum(bool(own and own.shape @ european.shape > _SAME_DIGIT) for own, european in pictures) >= _BORROWED

    def _keeps_case(self, character: str, picture: Picture) -> bool:
        cases = self._cases(unicodedata.name(character, "").partition(" ")[0])
        if cases.drawn is not Drawn.BOTH:
            return character.isupper() == (cases.drawn is Drawn.UPPER)
        other = character.swapcase()
        return other == character or not (character.lower() in cases.alike or picture.same(self._picture_if_there(other)))

    def _cases(self, kind: str) -> Cases:
        if kind not in self._cases_known:
            self._cases_known[kind] = _cases([pair for letter in _TWO_SHAPES.get(kind, "") if (pair := self._pair(letter))])
        return self._cases_known[kind]

    def _pair(self, letter: str) -> _Pair | None:
        small, capital = self._picture_if_there(letter), self._picture_if_there(letter.upper())
        return _Pair(letter, small, capital) if small and capital and small.inked and capital.inked else None

    @functools.cached_property
    def _notdef(self) -> Picture:
        return self._picture(_ABSENT)

    def _picture_if_there(self, character: str) -> Picture | None:
        return self._picture(character) if character in self._tables.characters else None

    def _picture(self, character: str) -> Picture:
        return Picture(*self._font.getmask2(character, mode="L"))


class Picture:
    """The ink of one character and where it lies."""

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
        """The ink scaled to a box that is the same for all, with a margin: ((_GRID + 2)²,), of mean 0 and length 1."""
        image = Image.frombytes("L", self._core.size, bytes(self._core)).crop(self._ink)
        ink = np.asarray(image.resize((_GRID, _GRID), Image.Resampling.BOX), dtype=np.float64)
        cells = np.pad(ink, 1).ravel()
        cells -= cells.mean()
        return cells / (np.linalg.norm(cells) or 1.0)

    def same(self, other: Picture | None, correlation: float = _SAME) -> bool:
        """Whether both are one drawing at one place."""
        if other is None or any(abs(mine - its) > 1 for mine, its in zip(self._box, other._box, strict=True)):
            return False
        return float(self.shape @ other.shape) > correlation


class Drawn(Enum):
    """The cases that a font draws the letters of a script in."""

    BOTH = "both"
    UPPER = "upper"
    LOWER = "lower"


@dataclass(frozen=True)
class Cases:
    """How a font treats case in one script."""

    drawn: Drawn
    """All small letters may be drawn as capitals, or the other way round."""
    alike: frozenset[str]
    """Small letters that cannot be told from their capitals in a font that draws both cases."""


class _Pair:
    """A letter that looks different in its two cases, as a font draws it."""

    def __init__(self, letter: str, small: Picture, capital: Picture) -> None:
        self.letter = letter
        self.height = capital.height
        reference_small, reference_capital = _reference(letter)
        self.alike = float(small.shape @ capital.shape)
        """How like its own capital the small letter is."""
        self.likeness = self.alike + float(small.shape @ reference_capital) - float(small.shape @ reference_small)
        """The same, and how much liker the reference's capital than the reference's small letter."""


def _cases(pairs: list[_Pair]) -> Cases:
    if len(pairs) < 3 or not _one_case(pairs):
        return Cases(Drawn.BOTH, frozenset(pair.letter for pair in pairs if pair.alike > _ONE_SHAPE))
    low, _, high = statistics.quantiles((pair.height for pair in pairs), n=4)
    return Cases(Drawn.UPPER if high < _LEVEL * low else Drawn.LOWER, frozenset())


def _one_case(pairs: list[_Pair]) -> bool:
    alike = statistics.median(pair.alike for pair in pairs)
    return alike > _ONE_SHAPE or statistics.median(pair.likeness for pair in pairs) > _ONE_CASE


@functools.cache
def _reference(letter: str) -> tuple[Shape, Shape]:
    """The shapes of a small letter and its capital in trdg's Roboto."""
    path = next(path for path in trdg.open_font_files() if path.name == "Roboto-Regular.ttf")
    font = ImageFont.truetype(str(path), _SIZE, layout_engine=ImageFont.Layout.BASIC)
    small, capital = (Picture(*font.getmask2(each, mode="L")).shape for each in (letter, letter.upper()))
    return small, capital


def _without_mark(character: str) -> str:
    """The letter that would be left if the marks of this one were not drawn; "" if it has none."""
    parts = unicodedata.normalize("NFD", character)
    if len(parts) > 1:
        return parts[0]
    name = unicodedata.name(character, "")
    plain = name.partition(" WITH ")[0].replace(" DOTLESS ", " ")
    try:
        return unicodedata.lookup(plain) if plain != name else ""
    except KeyError:
        return ""
