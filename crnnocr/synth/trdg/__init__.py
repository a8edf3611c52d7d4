"""All that crnnocr knows of the package trdg: its fonts, dictionaries and photographs, and how it draws a line of text.

trdg 0.1.1 was written for Pillow before version 10, and cuts off ink that leaves the box it measures. Its drawing module is
loaded by itself and gets stand-ins for the three Pillow modules that it uses: they measure as it expects, and draw on a canvas
with a margin. Nothing else of trdg is imported, so neither OpenCV nor TensorFlow is, and nothing is printed.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from crnnocr.errors import CrnnocrError, UsageError

_DICTIONARIES = {"en": "en", "de": "de", "fr": "fr", "zh": "cn"}
_FONT_FOLDERS = {"en": "latin", "de": "latin", "fr": "latin", "zh": "cn"}

# trdg's German dictionary has an encoding of its own; these are all of its letters outside ASCII.
_GERMAN = {0x80: "ä", 0x83: "é", 0x84: "ö", 0x87: "ü", 0x88: "ç", 0x89: "ñ", 0x9C: "ß"}

# Families under an open license (Apache-2.0 or OFL) that draw lower case as lower case. trdg holds others: Aller, Bebas,
# Capture, Caviar Dreams, Tusj, Seaside and Walkway are not open, and Amatic draws small capitals.
_OPEN_FAMILIES = ("DroidSans", "Lato", "OpenSans", "Pacifico", "Raleway", "Roboto", "Sansation", "SourceHanSans")


def languages() -> list[str]:
    """Codes of the languages for which trdg has fonts and a usable dictionary (the Spanish one lacks the accents)."""
    return sorted(_DICTIONARIES)


@functools.cache
def dictionary(lang: str) -> tuple[str, ...]:
    """The words of trdg's dictionary of a language, in its order. Raises `UsageError` if there is none."""
    path = _package_folder() / "dicts" / f"{_known(lang, _DICTIONARIES)}.txt"
    if lang == "de":
        text = path.read_bytes().decode("latin-1").translate(_GERMAN)
    else:
        text = path.read_text(encoding="utf-8-sig")
    return tuple(line for line in text.splitlines() if line.strip())


@functools.cache
def font_files(lang: str) -> tuple[Path, ...]:
    """Trdg's openly licensed font files for a language, by name. Raises `UsageError` if there are none."""
    return _open_fonts(_known(lang, _FONT_FOLDERS))


def open_font_files() -> tuple[Path, ...]:
    """All of trdg's openly licensed font files, by folder and name."""
    return tuple(path for folder in sorted(set(_FONT_FOLDERS.values())) for path in _open_fonts(folder))


def _open_fonts(folder: str) -> tuple[Path, ...]:
    files = (_package_folder() / "fonts" / folder).iterdir()
    return tuple(sorted((path for path in files if path.name.startswith(_OPEN_FAMILIES)), key=lambda path: path.name))


@functools.cache
def photographs() -> tuple[Path, ...]:
    """Trdg's photographs of walls, water and streets, by name."""
    return tuple(sorted((_package_folder() / "pictures").glob("*.jpg")))


def draw_line(text: str, font: Path, size: int, color: str) -> Image.Image:
    """Draw `text` with trdg.

    Returns an RGBA image with a transparent background. It has the size of trdg's own box around the text (from the ascender
    line to the lowest ink, from the start of the first word to the end of the last), and is larger where ink leaves that box.
    """
    module = _drawing_module()
    options = {
        "text": text,
        "font": str(font),
        "text_color": color,
        "font_size": size,
        "orientation": 0,
        "space_width": 1.0,
        "character_spacing": 0,
        "fit": False,
        "word_split": True,
    }
    accepted = inspect.signature(module.generate).parameters
    result = module.generate(**{name: value for name, value in options.items() if name in accepted})
    canvas: Image.Image = result[0] if isinstance(result, tuple) else result  # later versions return a mask too
    margin = canvas.info["margin"]
    box = (margin, margin, canvas.width - margin, canvas.height - margin)
    ink = canvas.getchannel("A").getbbox()
    if ink is not None:
        box = (min(box[0], ink[0]), min(box[1], ink[1]), max(box[2], ink[2]), max(box[3], ink[3]))
    return canvas.crop(box)


def _known(lang: str, table: dict[str, str]) -> str:
    if lang not in table:
        raise UsageError(
            f"`style=trdg` has no `lang={lang}`, only {', '.join(languages())}: choose one of these, or another style"
        )
    return table[lang]


def _package_folder() -> Path:
    spec = importlib.util.find_spec("trdg")
    if spec is None or not spec.submodule_search_locations:
        raise CrnnocrError("the package trdg is not installed: pip install trdg==0.1.1")
    return Path(next(iter(spec.submodule_search_locations)))


@functools.cache
def _drawing_module() -> Any:
    """Trdg's drawing module, loaded without its package, with our stand-ins for Pillow's modules."""
    path = _package_folder() / "computer_text_generator.py"
    spec = importlib.util.spec_from_file_location("crnnocr.synth._trdg_drawing", path)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.Image = SimpleNamespace(new=_new_canvas)
    module.ImageDraw = SimpleNamespace(Draw=_Pen)
    module.ImageFont = SimpleNamespace(truetype=_font)
    module.rnd = random.Random(0)  # noqa: S311 (it chooses between two equal colors)
    return module


class _Font:
    """A Pillow font that trdg can measure."""

    def __init__(self, font: ImageFont.FreeTypeFont) -> None:
        self.font = font

    def getsize(self, text: str) -> tuple[int, int]:
        """Width of the ink and height of its lower edge, as Pillow's old `getsize` gave them; a space has its advance."""
        left, _, right, bottom = self.font.getbbox(text)
        return int(right - left), int(bottom)


@functools.lru_cache(maxsize=512)
def _font(font: str, size: int) -> _Font:
    return _Font(ImageFont.truetype(font, size, layout_engine=ImageFont.Layout.BASIC))


def _new_canvas(mode: str, size: tuple[int, int], color: Any) -> Image.Image:
    margin = size[1]  # no glyph overhangs its box by a line's height
    canvas = Image.new(mode, (size[0] + 2 * margin, size[1] + 2 * margin), color)
    canvas.info["margin"] = margin
    return canvas


class _Pen:
    """A stand-in for Pillow's `ImageDraw.Draw` that keeps to the inside of a canvas' margin."""

    def __init__(self, canvas: Image.Image) -> None:
        self.pen = ImageDraw.Draw(canvas)
        self.margin: int = canvas.info["margin"]

    def text(self, position: tuple[int, int], text: str, fill: Any, font: _Font, **options: Any) -> None:
        x, y = position
        self.pen.text((x + self.margin, y + self.margin), text, fill=fill, font=font.font, **options)
