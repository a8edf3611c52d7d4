"""Font faces: all that there are, those that can draw a text, and what to say where there are none."""

from __future__ import annotations

import functools
import hashlib
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from fontTools.unicodedata import script
from PIL import ImageFont

from crnnocr.config import SynthConfig
from crnnocr.errors import UsageError
from crnnocr.synth.fonts import files, glyphs
from crnnocr.synth.fonts import files as tables
from crnnocr.synth.languages import languages
from crnnocr.text.charset import describe

_LOADED = 512
"""Loaded fonts (a face at a size) that are kept, of 0.3 MB each: the faces of `crnnocr[fonts]` at one size. Loading one and
drawing its first word takes 2 ms, ten times what a word takes later."""
_NOTO = re.compile(r"^(Noto (?:Sans|Serif)) .*")
"""Noto has a family for each script and the same Latin letters in all of them."""
_FACES_OF_TEXT = 3
"""Faces from which a family counts as one for text: upright and italic, or in several weights."""
_OF_TRDG = frozenset(("Zyyy", "Zinh", "Latn", "Cyrl", "Grek"))
"""Scripts that are no reason to ask for a language's own font packages (ISO 15924; the first two are common to all)."""


class FontWarning(UserWarning):
    """A font file of the user's is left out."""


@dataclass(frozen=True)
class FontFace:
    """One look of a font: a face of a file or, of a variable font, an instance of it."""

    path: Path
    """The file."""
    number: int
    """Which face of a collection; 0 of another file."""
    axes: tuple[float, ...]
    """Values of a variable font's axes in the font's order; () for another font."""
    family: str
    """The family that it is of."""
    name: str
    """For people: family, weight, slope."""

    @property
    def characters(self) -> frozenset[str]:
        """All that the font has a glyph for, drawn as labelled or not."""
        return tables.read(self.path)[self.number].characters

    def draws(self, text: str) -> bool:
        """Whether every character of `text` is drawn as what it is (see `glyphs.Glyphs.draws`)."""
        draws = glyphs.of(self.path, self.number).draws
        return all(map(draws, text))

    def pillow(self, size: int) -> ImageFont.FreeTypeFont:
        """The font for Pillow at `size` pixels an em; it shapes where this Pillow can."""
        return _load(self, size)


@functools.lru_cache(maxsize=_LOADED)
def _load(face: FontFace, size: int) -> ImageFont.FreeTypeFont:
    layout = ImageFont.Layout.RAQM if glyphs.has_raqm() else ImageFont.Layout.BASIC
    font = ImageFont.truetype(str(face.path), size, index=face.number, layout_engine=layout)
    if face.axes:
        font.set_variation_by_axes(list(face.axes))
    return font


def collect(config: SynthConfig) -> tuple[FontFace, ...]:
    """The faces to draw with, by family and name: the same order everywhere.

    Raises `UsageError` where the user's folder has none, or where text of these languages cannot be shaped. A file of that
    folder that cannot be used is left out with a `FontWarning`.
    """
    require_shaping(config.lang)
    if config.fonts is None:
        faces = [face for path in files.shipped() for face in _faces(path)]
    else:
        faces = [face for path in files.in_folder(Path(config.fonts)) for face in _faces(path, said=True)]
        if not faces:
            raise UsageError(f"--fonts {config.fonts} holds no font that can be used (.ttf, .otf or .ttc)")
    if config.system_fonts:
        faces += [face for path in files.of_system() for face in _faces(path)]
    return tuple(sorted(faces, key=lambda face: (face.family.casefold(), face.name, face.path.name, face.number)))


def require_shaping(langs: Sequence[str]) -> None:
    """Raise `UsageError` where one of the languages needs shaping and this Pillow cannot."""
    for code, language in zip(langs, languages(langs), strict=True):
        if language.script.shaped and not glyphs.has_raqm():
            raise UsageError(f"--lang {code}: {language.name} has to be shaped, and this Pillow lacks raqm: pip install pillow")


def _faces(path: Path, said: bool = False) -> Iterable[FontFace]:
    try:
        found = tables.read(path)
    except tables.UnusableFontError as error:
        if said:
            warnings.warn(f"the font {path} is left out: {error}", FontWarning, stacklevel=2)
        return
    for number, face in enumerate(found):
        for variant in face.variants:
            yield FontFace(path, number, variant.axes, face.family, variant.name)


def characters(faces: Iterable[FontFace]) -> frozenset[str]:
    """All characters that some face has a glyph for."""
    return frozenset().union(*(tables.read(path)[number].characters for path, number in _measured(faces)))


def _measured(faces: Iterable[FontFace]) -> list[tuple[Path, int]]:
    return list(dict.fromkeys((face.path, face.number) for face in faces))


class Kind(StrEnum):
    """What a family of fonts is for, as far as its files tell."""

    MONOSPACED = "monospaced"
    """All letters are as wide as each other."""
    TEXT = "text"
    """It has several faces, as a family has that books and letters are set in."""
    OTHER = "other"
    """The rest: of signs and titles, mostly."""


class Chooser:
    """Chooses faces for texts: first a family, each as likely as another, then a face of it. Noto's scripts are one family."""

    def __init__(self, faces: Sequence[FontFace]) -> None:
        members: defaultdict[str, list[FontFace]] = defaultdict(list)
        for face in faces:
            members[_NOTO.sub(r"\1", face.family)].append(face)
        self._families = [_Family(of) for of in members.values()]

    def choose(self, text: str, rng: np.random.Generator, kinds: Sequence[tuple[Kind, float]] = ()) -> FontFace | None:
        """A face that draws all of `text`; None where no face does.

        `kinds` are kinds of fonts, each with the probability that it is taken, as far as there are such; otherwise it is any.
        """
        wanted = set(text)
        order: list[int] = rng.permutation(len(self._families)).tolist()
        if kinds:
            place = int(np.searchsorted(np.cumsum([share for _, share in kinds]), rng.random(), side="right"))
            wanted_kind = kinds[place][0] if place < len(kinds) else None
            order.sort(key=lambda index: wanted_kind not in (None, self._families[index].kind))  # the others after these
        for index in order:
            able = self._families[index].drawing(wanted)
            if able:
                return able[int(rng.integers(len(able)))]
        return None

    def can(self, text: str) -> bool:
        """Whether some face draws all of `text`."""
        wanted = set(text)
        return any(family.drawing(wanted) for family in self._families)


class _Family(dict[str, int]):
    """The faces of a family, and for each character asked of them the set of those that draw it, a bit each."""

    def __init__(self, faces: Sequence[FontFace]) -> None:
        super().__init__()
        self._faces = faces
        self._all = (1 << len(faces)) - 1
        if any(tables.read(face.path)[face.number].is_monospaced for face in faces):
            self.kind = Kind.MONOSPACED
        else:
            self.kind = Kind.TEXT if len(faces) >= _FACES_OF_TEXT else Kind.OTHER

    def __missing__(self, character: str) -> int:
        self[character] = sum(1 << index for index, face in enumerate(self._faces) if face.draws(character))
        return self[character]

    def drawing(self, wanted: Iterable[str]) -> Sequence[FontFace]:
        able = self._all
        for character in wanted:
            able &= self[character]
            if not able:
                return ()
        if able == self._all:
            return self._faces
        return [face for index, face in enumerate(self._faces) if able >> index & 1]


def digest(faces: Iterable[FontFace]) -> str:
    """SHA-256 over what the faces are made of: contents of the files, numbers, axes; not over where the files lie."""
    whole = hashlib.sha256()
    for face in faces:
        whole.update(f"{_content(face.path)} {face.number} {face.axes}\n".encode())
    return whole.hexdigest()


@functools.cache
def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing(faces: Sequence[FontFace], text: str, langs: Sequence[str]) -> str:
    """What to say where no face draws `text`: the characters that no font has, and the mend."""
    lacking = "".join(each for each in dict.fromkeys(text) if not any(face.draws(each) for face in faces))
    if not lacking:
        return f"no font draws all characters of {text!r}: name a folder with one that does with --fonts, or leave the text out"
    what = ", ".join(map(describe, lacking))
    return f"no font draws {what} in {text!r}: {_mend(lacking, langs)}, or leave the text out"


def _mend(lacking: str, langs: Sequence[str]) -> str:
    scripts = {language.script for language in languages(langs) if language.script.fonts}
    absent = [name for writing in scripts for name in writing.fonts if not _installed(name)]
    if absent and not _OF_TRDG.issuperset(map(script, lacking)):
        alone = f" (or {absent[0]} alone)" if len(scripts) == 1 else ""
        return f"pip install 'crnnocr[fonts]'{alone}"
    if not files.packages():
        return "pip install 'crnnocr[fonts]', or name a folder of fonts that do with --fonts"
    return "name a folder of fonts that do with --fonts, try --system-fonts"


def _installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


@functools.cache
def load(path: Path) -> FontFace:
    """The first face of the font file at `path`."""
    return next(iter(_faces(path)))
