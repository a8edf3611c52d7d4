"""The image formats that are read: one list for folders, label files and the bytes themselves; and the kinds of other files.

Pillow knows more formats, some of which run other programs (PostScript runs Ghostscript), follow links or need fonts. Only
those listed here are ever tried, whatever a file is called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import IO, NamedTuple

from PIL import Image, ImageFile, UnidentifiedImageError

from crnnocr.formatting import plural

_COMMON = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "PPM": (".pbm", ".pgm", ".ppm", ".pnm"),
}
"""Formats that Pillow loads at once, and how their files end."""

_OTHER = {
    "TIFF": ("Tiff", ".tif", ".tiff"),
    "WEBP": ("WebP", ".webp"),
    "JPEG2000": ("Jpeg2K", ".jp2", ".j2k"),
    "AVIF": ("Avif", ".avif"),
    "TGA": ("Tga", ".tga"),
}
"""Formats whose module is loaded if none of the common ones fits: its name, and how their files end. TGA has no signature."""

_HEIF_PLUGIN = next((name for name in ("pillow_heif", "pi_heif") if find_spec(name)), None)

FORMATS = frozenset({*_COMMON, *_OTHER, "MPO", "HEIF"})
"""Pillow's names of the formats that are read. MPO is a JPEG with further images; HEIF needs a plug-in."""

SUFFIXES = frozenset(
    {
        *(suffix for suffixes in _COMMON.values() for suffix in suffixes),
        *(suffix for _, *suffixes in _OTHER.values() for suffix in suffixes),
        *((".heic", ".heif", ".hif") if _HEIF_PLUGIN else ()),
    }
)
"""File name endings, in lower case, of the images that are looked for in a folder."""


def image_files(paths: Iterable[Path]) -> list[Path]:
    """Those of `paths` that are files with an image's name."""
    return [path for path in paths if is_image_name(path.name) and path.is_file()]


def is_image_name(name: str) -> bool:
    """Whether a file's name ends as an image's does; hidden files (`.x.png`) do not count."""
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")


def open_image(file: IO[bytes]) -> ImageFile.ImageFile:
    """Open an encoded image, of which only the header is read. Raises `UnidentifiedImageError` if its format is not read."""
    Image.preinit()
    try:
        return Image.open(file, formats=tuple(_COMMON))  # noqa: TID251
    except UnidentifiedImageError:
        return Image.open(file, formats=_loaded_formats())  # noqa: TID251


@cache
def _loaded_formats() -> tuple[str, ...]:
    """The formats that are not common, as far as this Pillow has them."""
    if _HEIF_PLUGIN:
        import_module(_HEIF_PLUGIN).register_heif_opener()
    for module, *_ in _OTHER.values():
        with suppress(ImportError):  # Pillow before 11.3 has no AVIF
            import_module(f"PIL.{module}ImagePlugin")
    return tuple(format for format in ("HEIF", *_OTHER) if format in Image.OPEN)


class Foreign(NamedTuple):
    """A kind of file that may hold text to be recognized but is not read."""

    name: str
    fix: str
    suffixes: tuple[str, ...] = ()
    signatures: tuple[bytes, ...] = ()
    offset: int = 0
    """Where in the file a signature stands."""


_SAVE_AS_PNG = "save it as PNG"
_FOREIGN = (
    Foreign("PDF", "turn its pages into images (pdftoppm -r 300 -png) and cut the lines out", (".pdf",), (b"%PDF",)),
    Foreign("HEIC", "pip install pillow-heif, or save it as JPEG", (".heic", ".heif", ".hif"), (b"ftyphe", b"ftypmif1"), 4),
    Foreign("AVIF", "pip install 'pillow>=11.3'", (), (b"ftypavif", b"ftypavis"), 4),
    Foreign("SVG", "render it as PNG (rsvg-convert or Inkscape)", (".svg", ".svgz"), (b"<svg",)),
    Foreign("PostScript", "render it as PNG (Ghostscript or Inkscape)", (".eps", ".ps", ".ai"), (b"%!PS", b"\xc5\xd0\xd3\xc6")),
    Foreign("DICOM", "save its pixels as PNG (dcmj2pnm)", (".dcm", ".dicom"), (b"DICM",), 128),
    Foreign("DjVu", "turn its pages into images (ddjvu -format=tiff)", (".djvu", ".djv"), (b"AT&TFORM",)),
    Foreign("JPEG XL", "save it as PNG (djxl)", (".jxl",), (b"\xff\x0a", b"\0\0\0\x0cJXL ")),
    Foreign("Photoshop", _SAVE_AS_PNG, (".psd", ".psb"), (b"8BPS",)),
    Foreign("GIMP", _SAVE_AS_PNG, (".xcf",), (b"gimp xcf",)),
    Foreign(
        "Windows icon or metafile",
        _SAVE_AS_PNG,
        (".ico", ".cur", ".wmf", ".emf"),
        (b"\0\0\1\0", b"\0\0\2\0", b"\xd7\xcd\xc6\x9a"),
    ),
    Foreign("PCX", _SAVE_AS_PNG, (".pcx", ".dcx")),
    Foreign("camera raw", "develop it to JPEG or PNG", (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf")),
    Foreign(
        "video",
        "take its frames out as PNG (ffmpeg)",
        (".mp4", ".mov", ".avi", ".mkv", ".webm"),
        (b"ftypisom", b"ftypmp4", b"ftypqt"),
        4,
    ),
    Foreign("archive", "unpack it first", (), (b"PK\3\4", b"\x1f\x8b", b"7z\xbc\xaf")),
    Foreign("numpy array", "load it with numpy, and give the array to the library", (), (b"\x93NUMPY",)),
    Foreign("web page", "it stands where an image should be: download that again", (), (b"<!doctype html", b"<html")),
    Foreign("Git LFS pointer", "fetch the file itself with git lfs pull", (), (b"version https://git-lfs",)),
    Foreign("git-annex pointer", "fetch the file itself with git annex get", (), (b"/annex/objects/",)),
)
_HEAD = 1024
"""Bytes at the start of a file in which a signature is looked for."""


def foreign_kind(data: bytes) -> Foreign | None:
    """The kind of a file that is not read, by its first bytes; None for any other file."""
    head = data[:_HEAD]
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    is_svg = text.startswith(b"<?xml") and b"<svg" in text
    for kind in _FOREIGN:
        if (is_svg and kind.name == "SVG") or any(
            head.startswith(signature, kind.offset) or (not kind.offset and text.startswith(signature.lower()))
            for signature in kind.signatures
        ):
            return kind
    return None


def foreign_name(name: str) -> Foreign | None:
    """The kind of a file that is not read, by its name; None for any other file."""
    suffix = Path(name).suffix.lower()
    return None if suffix in SUFFIXES else next((kind for kind in _FOREIGN if suffix in kind.suffixes), None)


class PassedOver:
    """Counts the files of a folder that are not taken for images, and says why."""

    def __init__(self) -> None:
        self._foreign: Counter[Foreign] = Counter()
        self._others: Counter[str] = Counter()
        self._hidden = 0
        self._broken_links = 0
        self.folders = 0
        """Folders with images that were not looked into."""

    def add(self, name: str) -> None:
        """Count a file."""
        if name.startswith("."):
            self._hidden += 1
        elif kind := foreign_name(name):
            self._foreign[kind] += 1
        else:
            self._others[Path(name).suffix.lower()] += 1

    def add_broken_link(self) -> None:
        """Count a link to a file that is not there."""
        self._broken_links += 1

    def __bool__(self) -> bool:
        return bool(self._foreign or self._others or self._hidden or self._broken_links)

    @property
    def may_hold_text(self) -> bool:
        """Whether some of them could be read in another format."""
        return bool(self._foreign or self._broken_links)

    def __str__(self) -> str:
        total = self._foreign.total() + self._others.total() + self._hidden + self._broken_links
        return f"{plural(total, 'file')} passed over: {'; '.join(self._reasons())}"

    def _reasons(self) -> Iterator[str]:
        for kind, count in self._foreign.most_common():
            yield f"{count:,} {kind.name} ({kind.fix})"
        if self._broken_links:
            yield f"{plural(self._broken_links, 'link')} to images that are not there (git annex get, dvc pull)"
        for suffix, count in self._others.most_common(_MAX_NAMED):
            yield f"{count:,} {suffix or 'without a suffix'}"
        if rest := sum(count for _, count in self._others.most_common()[_MAX_NAMED:]):
            yield f"{rest:,} others"
        if self._hidden:
            yield f"{self._hidden:,} hidden"


_MAX_NAMED = 4
"""Suffixes of other files that are named."""
