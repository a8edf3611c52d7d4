"""A contact sheet of the first samples, each with its label, index and style below it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from crnnocr.config import Orientation, SynthConfig
from crnnocr.errors import ConfigError
from crnnocr.files import atomic_write
from crnnocr.synth.fonts import FontFace
from crnnocr.synth.render.image import RenderedLine
from crnnocr.synth.sampler import Sampler

MAX_SAMPLES = 60
"""Most samples on a sheet."""

_WIDTH, _MARGIN = 1640, 32
_ROOM = (_WIDTH - 2 * _MARGIN, 640)
_COLUMNS, _GUTTER = 12, 20
_COLUMN = (_WIDTH - 2 * _MARGIN + _GUTTER) // _COLUMNS
_ROW_GAP = 26
_ENLARGED_BELOW = 48
"""Images less high than this, in pixels, are shown at twice their size."""
_MIN_LABEL_WIDTH = _COLUMN - _GUTTER
"""Labels are not wrapped into lines shorter than this."""
_PAPER, _INK, _QUIET = "#e9ecef", "#16191d", "#7b838c"
_TITLE_SIZE, _LABEL_SIZE, _NOTE_SIZE = 22, 16, 12
_LABEL_LINE, _NOTE_LINE = 21, 17

_MARK = "crnnocr synth --preview"
"""Stands in the file, so that no other image is taken for an earlier sheet."""
_HEAD_BYTES = 1024
"""Bytes at the start of the file in which it stands."""


def contact_sheet(sampler: Sampler, count: int) -> Image.Image:
    """A sheet of samples 0 to `count` - 1, `MAX_SAMPLES` at most."""
    faces = sorted(sampler.faces, key=_plainness)
    factor = 2 if sampler.config.height < _ENLARGED_BELOW else 1
    cells = [_Cell(index, sampler.render(index), factor, faces) for index in range(min(count, MAX_SAMPLES))]
    if sampler.config.orientation is Orientation.VERTICAL:
        cells.sort(key=lambda cell: cell.height, reverse=True)  # a row is as high as its highest image
    rows = _packed(cells)
    top = _MARGIN + 2 * _TITLE_SIZE
    height = top + sum(_height(row) + _ROW_GAP for row in rows) + _MARGIN - _ROW_GAP
    sheet = Image.new("RGB", (_WIDTH, height), _PAPER)
    title = _title(sampler.config)
    ImageDraw.Draw(sheet).text((_MARGIN, _MARGIN), title, _INK, _font(faces, title, faces[0], _TITLE_SIZE))
    for row in rows:
        left = _MARGIN
        for cell in row:
            cell.draw(sheet, left, top)
            left += cell.columns * _COLUMN
        top += _height(row) + _ROW_GAP
    return sheet


def save(path: Path, sampler: Sampler, count: int) -> int:
    """Write a contact sheet as a PNG file, which replaces an earlier sheet, but no other file. Returns its number of samples.

    Raises `ConfigError` if another file is there.
    """
    if path.is_file() and path.stat().st_size and not _is_sheet(path):
        raise ConfigError("preview", f"{path} is there already, and no sheet of samples: name another file")
    sheet = contact_sheet(sampler, count)
    with atomic_write(path) as part:
        sheet.save(part, format="PNG", pnginfo=_marked())
    return min(count, MAX_SAMPLES)


def _marked() -> PngInfo:
    info = PngInfo()
    info.add_text("Software", _MARK)
    return info


def _is_sheet(path: Path) -> bool:
    with path.open("rb") as file:
        return _MARK.encode() in file.read(_HEAD_BYTES)


class _Cell:
    """A sample on the sheet: the image, below it the label in as many lines as it takes, and below that a note."""

    def __init__(self, index: int, line: RenderedLine, factor: int, faces: Sequence[FontFace]) -> None:
        self.image = _enlarged(line.image, factor)
        self.note = f"{index}  {line.style}"
        self.font = _font(faces, line.text, line.font, _LABEL_SIZE)
        self.note_font = _font(faces, self.note, line.font, _NOTE_SIZE)
        self.lines = _wrapped(line.text, self.font, max(self.image.width, _MIN_LABEL_WIDTH))
        width = max(self.image.width, *(self.font.getlength(text) for text in self.lines))
        self.columns = min(_COLUMNS, -(-round(width + _GUTTER) // _COLUMN))
        self.height = self.image.height + _LABEL_LINE * len(self.lines) + _NOTE_LINE

    def draw(self, sheet: Image.Image, left: int, top: int) -> None:
        sheet.paste(self.image, (left, top))
        pen = ImageDraw.Draw(sheet)
        baseline = top + self.image.height
        for text in self.lines:
            baseline += _LABEL_LINE
            pen.text((left, baseline), text, _INK, self.font, anchor="ls")
        pen.text((left, baseline + _NOTE_LINE), self.note, _QUIET, self.note_font, anchor="ls")


def _enlarged(image: Image.Image, factor: int) -> Image.Image:
    """The image enlarged by `factor` if there is room for that, or reduced to the room there is."""
    width, height = factor * image.width, factor * image.height
    if width <= _ROOM[0] and height <= _ROOM[1]:
        return image.resize((width, height), Image.Resampling.NEAREST)
    shown = image.copy()
    shown.thumbnail(_ROOM, Image.Resampling.LANCZOS)
    return shown


def _packed(cells: Sequence[_Cell]) -> list[list[_Cell]]:
    """Rows of cells: each cell in the first row that has room for it."""
    rows: list[list[_Cell]] = []
    for cell in cells:
        with_room = (row for row in rows if sum(other.columns for other in row) + cell.columns <= _COLUMNS)
        row = next(with_room, None)
        if row is None:
            rows.append([cell])
        else:
            row.append(cell)
    return rows


def _height(row: Sequence[_Cell]) -> int:
    return max(cell.height for cell in row)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, room: int) -> list[str]:
    """`text` in lines that fit `room`, broken at spaces, or between characters if there are none."""
    lines = []
    while text:
        end = next(end for end in range(len(text), 0, -1) if end == 1 or font.getlength(text[:end]) <= room)
        if end < len(text) and (space := text.rfind(" ", 1, end + 1)) > 0:
            end = space
        lines.append(text[:end])
        text = text[end:].lstrip()
    return lines


def _font(faces: Sequence[FontFace], text: str, own: FontFace, size: int) -> ImageFont.FreeTypeFont:
    """The first of `faces` that draws `text`, else its own."""
    return next((face for face in faces if face.draws(text)), own).pillow(size)


def _plainness(face: FontFace) -> tuple[bool, bool, int, str]:
    """A sort key that puts the faces first in which labels are easiest to read."""
    return ("Sans" not in face.family, not face.name.endswith("Regular"), len(face.family), face.family)


def _title(config: SynthConfig) -> str:
    return f"{', '.join(config.lang)}   {config.style}   seed {config.seed}   {config.height} px"
