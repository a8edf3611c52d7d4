"""Which fonts can draw which text."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from pathlib import Path

from fontTools.pens.boundsPen import ControlBoundsPen
from fontTools.ttLib import TTFont


class FontFace:
    """A font file that knows which characters it draws."""

    def __init__(self, path: Path) -> None:
        self.path = path
        font = TTFont(io.BytesIO(path.read_bytes()), lazy=True)
        self._names: dict[int, str] = font.getBestCmap() or {}
        self._glyphs = font.getGlyphSet()
        self._draws: dict[str, bool] = {}

    def draws(self, text: str) -> bool:
        """Whether every character of `text` has a glyph that is not .notdef and, but for a space, not blank."""
        return all(self._draws_character(character) for character in text)

    def _draws_character(self, character: str) -> bool:
        known = self._draws.get(character)
        if known is None:
            known = self._draws[character] = self._has_ink(character)
        return known

    def _has_ink(self, character: str) -> bool:
        name = self._names.get(ord(character))
        if name is None or name == ".notdef":
            return False
        if character.isspace():
            return True
        pen = ControlBoundsPen(self._glyphs)
        self._glyphs[name].draw(pen)
        return pen.bounds is not None


@functools.cache
def load(path: Path) -> FontFace:
    """The font at `path`, read once."""
    return FontFace(path)


def able(fonts: Sequence[Path], text: str) -> list[Path]:
    """Those of `fonts` that can draw `text`, in their order."""
    return [font for font in fonts if load(font).draws(text)]
