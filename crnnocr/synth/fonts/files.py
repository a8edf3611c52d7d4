"""Font files: where they are found, and the faces in them, by their tables. No glyph is drawn."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import os
import re
import string
import struct
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from fontTools.ttLib import TTFont, TTLibError
from PIL import ImageFont

from crnnocr.errors import ConfigError
from crnnocr.synth import trdg

SUFFIXES = (".ttf", ".otf", ".ttc")
"""Suffixes of font files, in lower case."""

_WEIGHTS = {300: "Light", 400: "Regular", 500: "Medium", 700: "Bold", 900: "Black"}
_WIDTHS = {75: "Condensed", 100: "", 125: "Expanded"}
"""The weights and widths of a variable font that are used, if they are in its range."""

_COLORED = frozenset(("CBDT", "COLR", "SVG ", "sbix"))
_LATIN_SYMBOL = 5
"""Panose's family kind of fonts that have symbols where others have letters."""
_NO_LETTERS = re.compile(
    r"\b(barcode|braille|dingbats|emoji|icons?|lastresort|ornaments|symbols?|webdings|wingdings\d*)\b", re.IGNORECASE
)
"""Words in the names of families that have no letters."""

_ASCII = string.ascii_letters + string.digits

# The errors that fontTools raises if a file is not what it says it is.
_BROKEN = (
    TTLibError,
    OSError,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)

_character = functools.cache(chr)
"""One string object for each character, however many fonts have it."""


class UnusableFontError(Exception):
    """A font file that cannot be used, and why."""


@dataclass(frozen=True)
class Variant:
    """A face itself or, of a variable font, an instance of it."""

    axes: tuple[float, ...]
    """Values of a variable font's axes in the font's order; () for other fonts."""
    name: str
    """Family, weight and slope, for people."""


@dataclass(frozen=True)
class FaceTables:
    """Facts from the tables of a face."""

    family: str
    variants: tuple[Variant, ...]
    """At least one."""
    characters: frozenset[str]
    """Those that it has a glyph for, whatever that shows."""
    confused: frozenset[str]
    """Letters and digits that share a glyph with another letter or digit of ASCII."""
    scripts: frozenset[str]
    """OpenType tags of the scripts that it can shape."""
    is_monospaced: bool
    """Whether its Latin letters all have the same width."""


def installed() -> tuple[Path, ...]:
    """Trdg's openly licensed font files and those of all installed packages `fontpkg-…`, in the same order everywhere."""
    return (*trdg.open_font_files(), *(path for module in packages() for path in _of_package(module)))


def packages() -> list[str]:
    """The modules of all installed packages `fontpkg-…`."""
    return sorted({entry.module for entry in entry_points(group="fontpkg.family")})


def in_folder(folder: Path) -> tuple[Path, ...]:
    """The font files in a folder and its subfolders, by name. Raises `ConfigError` if there is no such folder."""
    if not folder.is_dir():
        raise ConfigError("fonts", f"{folder}: there is no such folder")
    return _below(folder)


def of_system() -> tuple[Path, ...]:
    """The font files of this system, by name."""
    folders = system_folders(sys.platform, os.environ, Path.home())
    return tuple(dict.fromkeys(path for folder in folders for path in _below(folder)))


def _below(folder: Path) -> tuple[Path, ...]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return tuple(sorted(found, key=lambda path: path.relative_to(folder).as_posix()))


def _of_package(module: str) -> tuple[Path, ...]:
    spec = importlib.util.find_spec(module)  # of a top-level name: nothing is imported
    folders = spec.submodule_search_locations if spec else None
    return tuple(path for folder in folders or () for path in _below(Path(folder) / "files"))


def system_folders(platform: str, environ: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    """Where a system keeps fonts, by `sys.platform`, environment variables and the user's home."""
    if platform == "win32":
        windows = Path(environ.get("WINDIR", r"C:\Windows"))
        local = Path(environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
        return (windows / "Fonts", local / "Microsoft" / "Windows" / "Fonts")
    if platform == "darwin":
        return (home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts"))
    data = environ.get("XDG_DATA_HOME") or home / ".local/share"
    shared = environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return (Path(data) / "fonts", home / ".fonts", *(Path(folder) / "fonts" for folder in shared.split(":") if folder))


@functools.cache
def load_faces(path: Path) -> tuple[FaceTables, ...]:
    """The faces of a font file, several if it is a collection. Raises `UnusableFontError`."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
        count = int.from_bytes(head[8:12], "big") if head.startswith(b"ttcf") else 1
        return tuple(_load_face(path, number) for number in range(count))
    except _BROKEN as error:
        raise UnusableFontError(f"it cannot be read ({error or type(error).__name__})") from error


def _load_face(path: Path, number: int) -> FaceTables:
    ImageFont.truetype(str(path), 16, index=number)  # FreeType must be able to open it too
    with path.open("rb") as file, TTFont(file, fontNumber=number, lazy=True) as font:
        _check_letters(font)
        font.setGlyphOrder([str(index) for index in range(font["maxp"].numGlyphs)])  # real names take time and are not needed
        glyphs: dict[int, str] = font.getBestCmap() or {}
        if not glyphs:
            raise UnusableFontError("it has no Unicode characters")
        family = font["name"].getBestFamilyName() or path.stem
        return FaceTables(
            family=family,
            variants=tuple(_variants(font, family)),
            characters=frozenset(map(_character, glyphs)),
            confused=frozenset(_confused(glyphs)),
            scripts=_scripts(font),
            is_monospaced=len({font["hmtx"][glyphs[ord(letter)]][0] for letter in "iMW" if ord(letter) in glyphs}) == 1,
        )


def _check_letters(font: TTFont) -> None:
    if _COLORED & set(font.keys()):
        raise UnusableFontError("it is a color font")
    if not {"glyf", "CFF ", "CFF2"} & set(font.keys()):
        raise UnusableFontError("it has no outlines")
    panose = font["OS/2"].panose if "OS/2" in font else None
    if (panose and panose.bFamilyType == _LATIN_SYMBOL) or _NO_LETTERS.search(font["name"].getBestFamilyName() or ""):
        raise UnusableFontError("it is a symbol font")


def _variants(font: TTFont, family: str) -> Iterable[Variant]:
    style = font["name"].getBestSubFamilyName() or ""
    if "fvar" not in font:
        yield Variant((), f"{family} {style}".strip())
        return
    for values in itertools.product(*map(_offered, font["fvar"].axes)):
        labels = [label for _, label in values if label]
        slope = [each for each in ("Italic", "Oblique") if each in style]
        yield Variant(tuple(value for value, _ in values), " ".join((family, *labels, *slope)))


def _offered(axis: Any) -> list[tuple[float, str]]:
    """The values of an axis that are used, each with its name."""
    names = {"wght": _WEIGHTS, "wdth": _WIDTHS}.get(axis.axisTag, {})
    inside = [(float(value), name) for value, name in names.items() if axis.minValue <= value <= axis.maxValue]
    return inside or [(float(axis.defaultValue), "")]


def _scripts(font: TTFont) -> frozenset[str]:
    if "GSUB" not in font or font["GSUB"].table.ScriptList is None:
        return frozenset()
    return frozenset(record.ScriptTag.strip() for record in font["GSUB"].table.ScriptList.ScriptRecord)


def _confused(glyphs: dict[int, str]) -> Iterable[str]:
    """Latin letters and digits that share a glyph of ASCII with others that are not just their other case."""
    plain = {glyphs[ord(character)] for character in _ASCII if ord(character) in glyphs}
    sharing = defaultdict(list)
    for code, glyph in glyphs.items():
        if glyph in plain and _is_latin(character := _character(code)):
            sharing[glyph].append(character)
    for group in sharing.values():
        if len({unicodedata.normalize("NFKC", character).upper() for character in group}) > 1:
            yield from group


def _is_latin(character: str) -> bool:
    return character.isalnum() and unicodedata.name(character, "").startswith(("LATIN", "DIGIT"))
