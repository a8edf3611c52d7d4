"""Font faces: all that are available, those that can draw a text, and the messages if there are none."""

from __future__ import annotations

import functools
import hashlib
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from fontTools.unicodedata import script
from PIL import ImageFont

from crnnocr.config import SynthConfig
from crnnocr.errors import ConfigError
from crnnocr.files import sha256_of
from crnnocr.synth.fonts import files, glyphs
from crnnocr.synth.languages import languages
from crnnocr.text.charset import JOINERS, describe

_CACHED = 512
"""Loaded fonts (a face at a size) that are kept, 0.3 MB each: the faces of `crnnocr[fonts]` at one size. To load one and draw
its first word takes 2 ms, ten times what a word takes later."""
_NOTO = re.compile(r"^(Noto (?:Sans|Serif)) .*")
"""Noto has a family for each script, with the same Latin letters in all of them."""
_FACES_OF_TEXT = 3
"""Faces from which a family counts as one for text: upright and italic, or in several weights."""
_COMMON_SCRIPTS = frozenset(("Zyyy", "Zinh", "Latn", "Cyrl", "Grek"))
"""Scripts that trdg's fonts draw, so that no font package is needed (ISO 15924; the first two are common to all)."""


class FontWarning(UserWarning):
    """A font file of the user's is left out."""


@dataclass(frozen=True)
class FontFace:
    """A face of a font file or, of a variable font, an instance of it."""

    path: Path
    number: int
    """Which face of a collection; 0 for other files."""
    axes: tuple[float, ...]
    """Values of a variable font's axes in the font's order; () for other fonts."""
    family: str
    name: str
    """Family, weight and slope, for people."""

    @property
    def characters(self) -> frozenset[str]:
        """All that the font has a glyph for, whether or not that shows the character."""
        return files.load_faces(self.path)[self.number].characters

    def draws(self, text: str) -> bool:
        """Whether every character of `text` is drawn as what it is (see `glyphs.Glyphs.draws`)."""
        draws = glyphs.of(self.path, self.number).draws
        return all(map(draws, text))

    def pillow(self, size: int) -> ImageFont.FreeTypeFont:
        """The font for Pillow at `size` pixels an em. It shapes text if this Pillow can."""
        return _load_font(self, size)


@functools.lru_cache(maxsize=_CACHED)
def _load_font(face: FontFace, size: int) -> ImageFont.FreeTypeFont:
    layout = ImageFont.Layout.RAQM if glyphs.has_raqm() else ImageFont.Layout.BASIC
    font = ImageFont.truetype(str(face.path), size, index=face.number, layout_engine=layout)
    if face.axes:
        font.set_variation_by_axes(list(face.axes))
    return font


def collect(config: SynthConfig) -> tuple[FontFace, ...]:
    """The faces that `config` allows, by family and name: the same order everywhere.

    Raises `ConfigError` if the user's folder holds none, or text of these languages cannot be shaped. Warns with `FontWarning`
    if a file of that folder cannot be used.
    """
    require_shaping(config.lang)
    if config.fonts is None:
        faces = [face for path in files.installed() for face in _faces(path)]
    else:
        faces = [face for path in files.in_folder(Path(config.fonts)) for face in _faces(path, warn=True)]
        if not faces:
            raise ConfigError("fonts", f"{config.fonts} holds no font that can be used (.ttf, .otf or .ttc)")
    if config.system_fonts:
        faces += [face for path in files.of_system() for face in _faces(path)]
    return tuple(sorted(faces, key=lambda face: (face.family.casefold(), face.name, face.path.name, face.number)))


def require_shaping(langs: Sequence[str]) -> None:
    """Raise `ConfigError` if one of the languages has to be shaped and this Pillow cannot do that."""
    for code, language in zip(langs, languages(langs), strict=True):
        if language.script.shaped and not glyphs.has_raqm():
            raise ConfigError(
                "lang", f"{code}: {language.name} has to be shaped, and this Pillow lacks raqm: pip install pillow"
            )


@functools.cache
def load(path: Path) -> FontFace:
    """The first face of the font file at `path`."""
    return next(iter(_faces(path)))


def _faces(path: Path, warn: bool = False) -> Iterable[FontFace]:
    try:
        found = files.load_faces(path)
    except files.UnusableFontError as error:
        if warn:
            warnings.warn(f"the font {path} is left out: {error}", FontWarning, stacklevel=2)
        return
    for number, face in enumerate(found):
        for variant in face.variants:
            yield FontFace(path, number, variant.axes, face.family, variant.name)


def characters(faces: Iterable[FontFace]) -> frozenset[str]:
    """All characters that some face has a glyph for, and the joiners, which shape text without one."""
    unique = dict.fromkeys((face.path, face.number) for face in faces)
    return frozenset(JOINERS).union(*(files.load_faces(path)[number].characters for path, number in unique))


def digest(faces: Iterable[FontFace]) -> str:
    """SHA-256 of contents of the files, numbers and axes of `faces`, as hex; where the files lie does not matter."""
    whole = hashlib.sha256()
    for face in faces:
        whole.update(f"{_sha256_of(face.path)} {face.number} {face.axes}\n".encode())
    return whole.hexdigest()


_sha256_of = functools.cache(sha256_of)


class Kind(StrEnum):
    """The purpose of a family of fonts, as far as its files tell."""

    MONOSPACED = "monospaced"
    """All letters have the same width."""
    TEXT = "text"
    """It has several faces, as families for books and letters have."""
    OTHER = "other"
    """The rest, mostly for signs and titles."""


class Chooser:
    """Chooses faces for texts: first a family, all with the same probability, then a face of it. All of Noto is one family."""

    def __init__(self, faces: Sequence[FontFace]) -> None:
        members: defaultdict[str, list[FontFace]] = defaultdict(list)
        for face in faces:
            members[_NOTO.sub(r"\1", face.family)].append(face)
        self._families = [_Family(of_family) for of_family in members.values()]

    def choose(self, text: str, rng: np.random.Generator, kinds: Sequence[tuple[Kind, float]] = ()) -> FontFace | None:
        """A face that draws all of `text`; None if there is none.

        `kinds` are preferred kinds of fonts with their probabilities; with the rest of the probability, and if no font of the
        kind draws the text, it is any.
        """
        wanted = set(text)
        order: list[int] = rng.permutation(len(self._families)).tolist()
        if kinds:
            place = int(np.searchsorted(np.cumsum([share for _, share in kinds]), rng.random(), side="right"))
            kind = kinds[place][0] if place < len(kinds) else None
            order.sort(key=lambda index: kind not in (None, self._families[index].kind))  # the others after these
        for index in order:
            faces = self._families[index].drawing(wanted)
            if faces:
                return faces[int(rng.integers(len(faces)))]
        return None

    def can_draw(self, text: str) -> bool:
        """Whether some face draws all of `text`."""
        wanted = set(text)
        return any(family.drawing(wanted) for family in self._families)


class _Family(dict[str, int]):
    """The faces of a family, and for each character asked for the set of faces that draw it, as one bit each."""

    def __init__(self, faces: Sequence[FontFace]) -> None:
        super().__init__()
        self._faces = faces
        self._all = (1 << len(faces)) - 1
        if any(files.load_faces(face.path)[face.number].is_monospaced for face in faces):
            self.kind = Kind.MONOSPACED
        else:
            self.kind = Kind.TEXT if len(faces) >= _FACES_OF_TEXT else Kind.OTHER

    def __missing__(self, character: str) -> int:
        self[character] = sum(1 << index for index, face in enumerate(self._faces) if face.draws(character))
        return self[character]

    def drawing(self, wanted: Iterable[str]) -> Sequence[FontFace]:
        """The faces that draw all characters of `wanted`."""
        faces = self._all
        for character in wanted:
            faces &= self[character]
            if not faces:
                return ()
        if faces == self._all:
            return self._faces
        return [face for index, face in enumerate(self._faces) if faces >> index & 1]


def is_installed(package: str) -> bool:
    """Whether a Python package is installed."""
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def missing(
    faces: Sequence[FontFace], text: str, langs: Sequence[str], is_installed: Callable[[str], bool] = is_installed
) -> str:
    """The message that no face draws `text`: the characters that no font has, and the fix."""
    lacking = "".join(each for each in dict.fromkeys(text) if not any(face.draws(each) for face in faces))
    if not lacking:
        return f"no font draws all characters of {text!r}: name a folder with one that does with `fonts`, or leave the text out"
    what = ", ".join(map(describe, lacking))
    return f"no font draws {what} in {text!r}: {_fix(lacking, langs, is_installed)}, or leave the text out"


def _fix(lacking: str, langs: Sequence[str], is_installed: Callable[[str], bool]) -> str:
    scripts = {language.script for language in languages(langs) if language.script.fonts}
    absent = [package for each in scripts for package in each.fonts if not is_installed(package)]
    if absent and not _COMMON_SCRIPTS.issuperset(map(script, lacking)):
        alone = f" (or {absent[0]} alone)" if len(scripts) == 1 else ""
        return f"pip install 'crnnocr[fonts]'{alone}"
    if not files.packages():
        return "pip install 'crnnocr[fonts]', or name a folder of fonts that do with `fonts`"
    return "name a folder of fonts that do with `fonts`, try `system_fonts`"
