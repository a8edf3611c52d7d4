"""Tables with or without a header, separated by tabs, commas, semicolons or bars, and lists `path<TAB>text` or `path text`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from crnnocr import images
from crnnocr.config import PREDICTION_COLUMNS, EmptyLabels, LabelConfig
from crnnocr.datasets import Dataset, columns, iam, icdar, imagefolder, label_studio, mmocr, ppocr_label, regions
from crnnocr.datasets.issues import Issue, Severity
from crnnocr.datasets.label_file import LabelRecord, broken_row, dataset_of, numbered_lines, parsed_json
from crnnocr.errors import ConfigError, DataError
from crnnocr.files import read_lines, read_text
from crnnocr.formatting import from_tsv_cell

SUFFIXES = frozenset({".csv", ".tsv", ".txt"})

_Rows: TypeAlias = Iterable[tuple[int, list[str]]]
"""The cells of each row, with the number of its line from 1."""

_IMAGE = rf"[^\t]*?\.(?:{'|'.join(suffix[1:] for suffix in sorted(images.SUFFIXES))})"
_IMAGE_THEN = re.compile(rf'{_IMAGE}"?(\t| *[,;|]| )', re.IGNORECASE)
_IMAGE_SPACE_TEXT = re.compile(rf"({_IMAGE}) (.*)", re.IGNORECASE)
_NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "space"}
_QUOTED = re.compile(r'"(?:[^"]|"")*"', re.DOTALL)
_MJSYNTH = re.compile(r"(?:.*/)?\d+_(?P<text>[^_/]+)_(?P<word>\d+)\.jpg", re.IGNORECASE)
_SAMPLED = 50
_LISTS: tuple[tuple[Callable[[str], bool], Callable[[Path, str, LabelConfig], Dataset]], ...] = (
    (icdar.accepts, icdar.load),
    (ppocr_label.accepts, ppocr_label.load),
    (iam.accepts, iam.load),
    (mmocr.accepts_line, mmocr.load_lines),
)
"""Lists whose lines are no rows of a table."""
_FORMULA = re.compile("'*[=+\\-@\t\r＝＋－＠]")
"""How cells begin that a spreadsheet computes, after the apostrophes that say it should not."""
_BOX_WIDTH = 4
"""Columns of a box."""
_A_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_EASYOCR = "filename,words"
_DECLARED = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""Excel's declaration of the separator, in the first line of a table."""


@dataclass(frozen=True)
class _Table:
    """The text of a table, and what separates its columns."""

    file: Path
    content: str
    separator: str

    @property
    def format(self) -> str:
        return f"{_NAMES.get(self.separator, repr(self.separator))}-separated"

    @property
    def _is_of_predict(self) -> bool:
        """Whether it is as `predict` has written it, without quotes that mean anything."""
        return next(numbered_lines(self.content))[1] == "\t".join(PREDICTION_COLUMNS)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each row that is not empty; one that cannot be split has no cells."""
        match self.separator:
            case "\t" if self._is_of_predict or not _quotes_cells(self.content):
                return _tab_separated(self.content)
            case " ":
                return _space_separated(self.content)
            case "," if next(numbered_lines(self.content))[1].strip().lower() == _EASYOCR:
                return _easyocr(self.content)
        return _csv(self.content, self.separator)


def load(label_file: Path, config: LabelConfig = LabelConfig()) -> Dataset:  # noqa: B008 (frozen)
    """Load a table. Raises `DataError` if it does not hold images and texts."""
    content, separator = _declared(read_text(label_file))
    content = _without_comments(content)
    _, first = next(numbered_lines(content), (1, ""))
    if not first:
        raise DataError(f"{label_file} is empty")
    if first.lstrip().startswith("{") and imagefolder.holds_labels(label_file):  # MMOCR's lists may be called .txt
        return imagefolder.load(label_file, config)
    for accepts, load_list in _LISTS if config.separator is None else ():
        if accepts(first):
            return load_list(label_file, content, config)
    if config.separator is None and icdar.is_box(first):
        raise DataError(f"{label_file} holds the boxes of one page: name the folder of the pages and of their label files")
    separator = config.separator or separator or _separator(first)
    if separator is None:
        raise DataError(
            f"{label_file}: line 1 holds no tab, comma, semicolon or space between an image's path and its text: "
            "write path<TAB>text, or name what separates them with `separator`"
        )
    return _load(_Table(label_file, content, separator), config)


def lists_images(label_file: Path) -> bool:
    """Whether a table begins with an image's path, or with a header that names both columns.

    A table that cannot be decoded counts as one, so that loading it reports why.
    """
    try:
        lines = (line for _, line in read_lines(label_file) if line.strip() and not _DECLARED.fullmatch(line))
        first = next((line for line in lines if not _is_comment(line)), "")
    except DataError:
        return True
    if any(accepts(first) for accepts, _ in _LISTS) or (first.startswith("{") and imagefolder.holds_labels(label_file)):
        return True
    return bool(_IMAGE_THEN.match(first)) or len(columns.known(_cells(first))) == 2


def lists_label_errors(label_file: Path) -> bool:
    """Whether a table lists suspected label errors, which are some of the labels of another file."""
    if label_file.suffix.lower() not in (".csv", ".tsv"):
        return False
    try:
        header = _cells(next(read_lines(label_file))[1])
    except (DataError, StopIteration):
        return False
    return len(columns.known(header)) == 2 and columns.are_of_label_errors(header)


def tsv_line(name: str, text: str) -> str:
    """Return a line `path<TAB>text`. White space in the text, which could end the line, becomes single spaces."""
    return f"{name}\t{' '.join(text.split())}\n"


def spreadsheet_cell(text: str) -> str:
    """Return a cell that a spreadsheet shows as text: with an apostrophe if it could be a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def from_spreadsheet_cell(cell: str) -> str:
    """Return the text of a `spreadsheet_cell`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _without_comments(content: str) -> str:
    """The text of a table with empty lines in place of the comments that it begins with, as IAM's lists do."""
    lines = content.split("\n")
    first = next((i for i, line in enumerate(lines) if line.strip() and not _is_comment(line)), 0)
    return "\n".join(["" if _is_comment(line) else line for line in lines[:first]] + lines[first:])


def _is_comment(line: str) -> bool:
    """Whether a line at the beginning is neither a record nor the header."""
    return line.startswith("#") and not _IMAGE_THEN.match(line) and len(columns.known(_cells(line))) < 2


def _declared(content: str) -> tuple[str, str | None]:
    """The text of a table, and the separator that its first line declares. Line numbers stay as they are."""
    first, end, rest = content.partition("\n")
    declared = _DECLARED.fullmatch(first)
    return (end + rest, declared[1]) if declared else (content, None)


def _separator(line: str) -> str | None:
    """The separator of the cells of a first line: what follows the image's name, else what splits it into most known names."""
    if line.startswith("[") and "\t" in line:  # PaddleOCR's lists of images
        return "\t"
    if found := _IMAGE_THEN.match(line):
        return found[1].strip(" ") or " "
    present = {each: len(columns.known(line.split(each))) for each in "\t,;| " if each in line}
    present = {each: known for each, known in present.items() if each != " " or known == 2}
    return max(present, key=lambda each: (present[each], each == "\t", each != " ", line.count(each)), default=None)


def _cells(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(_separator(line))]


def _load(table: _Table, config: LabelConfig) -> Dataset:
    number, first = next(iter(table.rows()), (1, []))
    if isinstance(first, _Unsplit):
        raise DataError(f"{table.file} line {number} {first.why}")
    if not first:
        raise DataError(f"{table.file} holds no rows")
    header = [cell.strip() for cell in first]
    header[0] = header[0].removeprefix("#").lstrip()
    if _is_record(header, config):
        if all(map(_is_mjsynth, islice(table.rows(), _SAMPLED))):
            return dataset_of(table.file, "MJSynth, texts in the file names", _mjsynth(table.rows()), config)
        issues = _cells_in_texts(table) if config.text_column is None else []
        return dataset_of(table.file, f"{table.format} without a header", _pairs(table, config, header), config, issues=issues)
    if len(header) < 2:
        raise DataError(f"{table.file} line {number} is not an image's path and its text: {header[0]!r}")

    # Our lists of suspected label errors are made for spreadsheets; Label Studio exports their columns, too.
    is_for_spreadsheets = columns.are_for_spreadsheets(header)
    is_of_predict = table.separator == "\t" and tuple(header[:3]) == PREDICTION_COLUMNS

    def rows() -> _Rows:
        following = islice(table.rows(), 1, None)
        if is_for_spreadsheets or is_of_predict:
            plain = from_spreadsheet_cell if is_for_spreadsheets else from_tsv_cell
            width = len(header) if is_for_spreadsheets else len(PREDICTION_COLUMNS)
            return ((n, [*map(plain, cells[:width]), *cells[width:]] or cells) for n, cells in following)
        return following

    if label_studio.exports(header):
        cells = [(line, dict(zip(header, row, strict=False))) for line, row in rows()]
        return label_studio.load_rows(table.file, f"Label Studio, {table.format}", cells, header, config, is_export=True)
    chosen = columns.choose(table.file, header, lambda: (cells for _, cells in rows()), config)
    format = f"{table.format}, columns {header[chosen.images[0]].lower()} and {header[chosen.text].lower()}"
    format += columns.WEIGHTED * (chosen.confidence is not None)
    return dataset_of(table.file, format, _columns(table, rows(), header, chosen), config, issues=chosen.issues)


def _columns(table: _Table, rows: _Rows, header: Sequence[str], chosen: columns.Columns) -> Iterator[LabelRecord | Issue]:
    width, text = len(header), chosen.text
    region = header.index(columns.REGION) if columns.REGION in header else None
    for number, cells in rows:
        if len(cells) > width == text + 1:  # a separator inside the text, which is the last column
            cells = [*cells[:text], table.separator.join(cells[text:])]
        if len(cells) != width:
            why = f"has {len(cells)} columns where the header has {width}"
            yield broken_row(table.file, number, cells.why if isinstance(cells, _Unsplit) else why)
            continue
        name, *others = [name for i in chosen.images if (name := cells[i].strip())] or [""]
        yield LabelRecord(
            number,
            name,
            chosen.label(cells),
            tuple(others),
            region=None if region is None else regions.parse(cells[region]),
            box=regions.of_columns(dict(zip(header, cells, strict=True))) if width > _BOX_WIDTH else None,
            group="" if chosen.group is None else cells[chosen.group].strip(),
            confidence=chosen.confidence_of(cells),
        )


def _is_mjsynth(row: tuple[int, list[str]]) -> bool:
    """Whether a row has, in place of the text, the number of it in the lexicon, as in `2/1/115_Lube_45484.jpg 45484`."""
    name = _MJSYNTH.fullmatch(row[1][0])
    return name is not None and row[1][1:] == [name["word"]]


def _mjsynth(rows: _Rows) -> Iterator[LabelRecord]:
    for number, cells in rows:
        name = _MJSYNTH.fullmatch(cells[0])
        yield LabelRecord(number, cells[0], name["text"] if name else "")


def _is_record(cells: Sequence[str], config: LabelConfig) -> bool:
    """Whether the first row is a record: an image stands there, or nothing in it is known and the columns have numbers."""
    numbers = (config.image_column or "", config.text_column or "")
    if any(columns.is_image(name) for cell in cells for name in _image_names(cell)):
        return True
    return all(map(str.isdecimal, numbers)) and not columns.known(cells)


def _pairs(table: _Table, config: LabelConfig, first: Sequence[str]) -> Iterator[LabelRecord | Issue]:
    """The records of a table without a header, whose first row is `first`. If the image comes first, all else is the text."""
    image, text = (
        None if given is None else _number(table, given, len(first), field)
        for field, given in (("image_column", config.image_column), ("text_column", config.text_column))
    )
    if image is None:
        image = next((i for i, cell in enumerate(first) if columns.is_image(cell)), 0)
    if text is None and image > 0:
        if len(first) > 2:
            raise DataError(
                f"{table.file} has no header, and the image is column {image + 1} of {len(first)}: "
                "give the number of the text's with `text_column`"
            )
        text = 1 - image
    group = None if config.group is None or text is None else columns.find([""] * len(first), config.group)
    empty = min((len(cells) - len(_filled(cells)) for _, cells in table.rows() if cells), default=0)
    for number, cells in table.rows():
        if len(cells) == 1 and config.empty is EmptyLabels.KEEP and columns.is_image(cells[0]):
            cells = [*cells, ""]
        if len(cells) <= max(image, 1 if text is None else text, group or 0):
            why = f"is not an image's path and its text: {table.separator.join(cells)!r}"
            yield broken_row(table.file, number, cells.why if isinstance(cells, _Unsplit) else why)
            continue
        for name in _image_names(cells[image].strip()):
            label = table.separator.join(cells[1 : len(cells) - empty]) if text is None else cells[text]
            yield LabelRecord(number, name, label, group="" if group is None else cells[group].strip())


def _filled(cells: Sequence[str]) -> Sequence[str]:
    """A row up to its last cell that is not empty."""
    return cells[: max((i for i, cell in enumerate(cells, start=1) if cell.strip()), default=0)]


def _cells_in_texts(table: _Table) -> list[Issue]:
    """A warning if all rows have several cells after the image, some of them always numbers and others never."""
    rows = [cells for _, cells in islice(table.rows(), _SAMPLED)]
    if len(rows) < 2 or len(rows[0]) < 3 or len({len(cells) for cells in rows}) > 1:
        return []
    kinds = [{bool(_A_NUMBER.fullmatch(cell.strip())) for cell in column} for column in list(zip(*rows, strict=True))[1:]]
    if not ({True} in kinds and {False} in kinds):
        return []
    message = f"the rows have {len(rows[0])} cells and no header, and the label is all that follows the image"
    return [Issue("several-text-columns", Severity.WARNING, message, "name the number of the text's column with `text_column`")]


def _number(table: _Table, given: str, width: int, field: str) -> int:
    """The index of a column of a table without a header. Raises `ConfigError` of `field` if there is no such number."""
    if not (given.isdecimal() and 1 <= int(given) <= width):
        raise ConfigError(field, f"{given}: {table.file} has no header, so give the column's number, from 1 to {width}")
    return int(given) - 1


def _image_names(cell: str) -> list[str]:
    """The images that a cell names: PaddleOCR has `["a.jpg", "b.jpg"]<TAB>text` for images of the same text."""
    names = parsed_json(cell, '["')
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else [cell]


def _quotes_cells(content: str) -> bool:
    """Whether cells between tabs are quoted as csv does, as Excel, pandas and R write them.

    In the lists of other tools, which have no header, a quote is a character like any other, unless the cells could not be
    understood so.
    """
    if '"' not in content:
        return False
    try:
        rows = list(csv.reader(io.StringIO(content, newline=""), strict=True, delimiter="\t"))
    except csv.Error:
        return False
    filled = [cells for cells in rows if any(cells)]
    if any(_IMAGE_THEN.match(line) for cells in filled for cell in cells for line in cell.split("\n")[1:]):
        return False  # a quote in one row and another in a later one
    has_header = len(columns.known(filled[0])) == 2
    return len(set(map(len, filled))) == 1 and (has_header or any('"' in cell for cells in filled for cell in cells))


def _tab_separated(content: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in numbered_lines(content):
        yield number, line.split("\t")


def _space_separated(content: str) -> Iterator[tuple[int, list[str]]]:
    """Split lines `path text`, which trdg and MMOCR write. A space in a path is one before the image's suffix."""
    for number, line in numbered_lines(content):
        cells = _IMAGE_SPACE_TEXT.fullmatch(line)
        yield number, list(cells.groups()) if cells else line.split(" ", 1)


def _easyocr(content: str) -> Iterator[tuple[int, list[str]]]:
    """Split the lines of EasyOCR's labels.csv. If one is not csv, all after the first comma is the text, with its quotes."""
    for number, line in numbered_lines(content):
        try:
            cells = next(csv.reader([line], strict=True))
        except csv.Error:
            cells = []
        yield number, cells if len(cells) == 2 else line.split(",", 1)


class _Unsplit(list[str]):
    """The row of a line that cannot be split: no cells."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why


def _csv(content: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Split rows as csv does. After a line that cannot be split the next one begins a row again."""
    lines = content.splitlines(keepends=True) if "\r" in content else [f"{line}\n" for line in content.split("\n")]
    start = 0
    while start < len(lines):
        reader = csv.reader((lines[i] for i in range(start, len(lines))), strict=True, delimiter=separator)
        begun = start
        try:
            for cells in reader:
                if any(_begins_records(cell) for cell in cells):
                    raise csv.Error("unexpected end of data")
                if any(cell.strip() for cell in cells):
                    yield begun + 1, cells
                begun = start + reader.line_num
            return
        except csv.Error as error:
            is_open = lines[begun].count('"') % 2
            yield begun + 1, _Unsplit("has a quotation mark that is not closed" if is_open else f"is not csv: {error}")
            start = begun + 1


def _begins_records(cell: str) -> bool:
    """Whether a cell of several lines has swallowed further records."""
    return "\n" in cell and any(map(_IMAGE_THEN.match, cell.split("\n")[1:]))
