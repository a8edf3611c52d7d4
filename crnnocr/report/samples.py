"""What was read for what, as a table: a row a true character, a column a reading.

The samples of a page: a compact row each, and pictures of the worst.
"""

from __future__ import annotations

import base64
import io
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import Levenshtein
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from PIL import Image

from crnnocr import images
from crnnocr.errors import ImageError
from crnnocr.evaluation.comparison import Comparison
from crnnocr.evaluation.evaluate import Evidence
from crnnocr.evaluation.outcomes import Outcome, Reader, read_samples
from crnnocr.formatting import printable_name
from crnnocr.inference.recognizer import Prediction
from crnnocr.metrics.confusions import Confusions, Edit
from crnnocr.text.charset import visible
from crnnocr.text.normalization import Normalization

_MOST = 22
"""Rows and columns."""
_CONSIDERED = 150
"""The most frequent edits, of which the table is made."""


@dataclass(frozen=True)
class Cell:
    """How often one character was read for another."""

    edit: Edit
    """Which."""
    count: int
    """How often."""
    heat: int
    """0 to 100, growing with the logarithm of the count."""


@dataclass(frozen=True)
class Heatmap:
    """The most frequent confusions."""

    columns: tuple[str, ...]
    """What was read, in words."""
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    """What stands there, in words, and how often it was read as each column says."""
    shown: int
    """Edits in the table."""
    all: int
    """Edits in all."""


def heatmap(confusions: Confusions) -> Heatmap:
    """The most frequent confusions, characters that are often wrong first."""
    counts = dict(confusions.most_common())
    common = dict(confusions.most_common(_CONSIDERED))
    truths, readings = Counter[str](), Counter[str]()
    for edit, count in common.items():
        truths[edit.truth] += count
        readings[edit.reading] += count
    rows, columns = _chosen(truths), _chosen(readings)
    most = math.log1p(max(common.values(), default=1))
    table = []
    shown = 0
    for truth in rows:
        edits = [Edit(truth, reading) for reading in columns]
        cells = tuple(
            Cell(edit, counts[edit], round(100 * math.log1p(counts[edit]) / most)) if edit in counts else None for edit in edits
        )
        shown += sum(cell.count for cell in cells if cell)
        table.append((visible(truth) if truth else "added", cells))
    named = tuple(visible(reading) if reading else "lost" for reading in columns)
    return Heatmap(named, tuple(table), shown, sum(counts.values()))


def _chosen(counts: Counter[str]) -> list[str]:
    """The most frequent characters, and nothing (what was lost or added) last."""
    common = [character for character, _ in counts.most_common() if character][:_MOST]
    return [*common, ""] if "" in counts else common


_MOST_PICTURES = 300
_LEAST_PICTURES = 40
"""Where fewer readings are wrong, those that are right but least sure come too."""
_PICTURE_BYTES = 5_000_000
_ROW_BYTES = 11_000_000
"""Most that pictures and rows take in a page, so that it stays below 20 MB with all else."""
_HIGHEST, _WIDEST = 96, 1200
"""Pixels of a picture in the page."""
_QUALITY = 80

_OPERATIONS = {"replace": 0, "delete": 1, "insert": 2}


@dataclass(frozen=True)
class Rows:
    """The samples as the page's script takes them."""

    rows: list[list[Any]]
    """The worst first: name in the folder that all are in, truth, reading (0 if the same), confidence in 1/10000, width,
    height, source, edits as kind, place in the truth and place in the reading (0 if none), and what the other reader read (0
    if the same as this one)."""
    pictures: dict[int, tuple[str, list[int]]]
    """Of some rows the picture as a data URI, and how sure each character is in per cent."""
    sources: list[str]
    """Where samples are from."""
    left_out: int
    """Samples that the page has no room for."""


def worst_first(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """By most edits, then those that the model was surest of; what is right by the least sure."""
    return sorted(outcomes, key=lambda each: (-each.counts.edits, each.is_right, _surest_last(each)))


def _surest_last(outcome: Outcome) -> float:
    return outcome.prediction.confidence * (1 if outcome.is_right else -1)


def rows_of(evidence: Evidence, reader: Reader | None = None) -> Rows:
    """The samples of an evaluation. A reader reads the worst again, for their pictures and their characters' confidences."""
    ordered = worst_first(evidence.analysis.outcomes)
    comparison = evidence.comparison
    others = {change.first.sample: change.second.reading for change in comparison.changes} if comparison else {}
    within = _folder_of(ordered)
    sources: dict[str, int] = {}
    rows: list[list[Any]] = []
    size = 0
    for outcome in ordered:
        source = printable_name(evidence.analysis.sources.get(outcome.sample, "."))
        name = printable_name(outcome.sample.name.removeprefix(within))
        row = _row(outcome, name, sources.get(source, len(sources)), others.get(outcome.sample, 0))
        size += _size(row) + (0 if source in sources else _size(source))
        if size > _ROW_BYTES:
            break
        rows.append(row)
        sources.setdefault(source, len(sources))
    chosen = _to_be_shown(ordered[: len(rows)], comparison) if reader else []
    pictures = _pictures([ordered[i] for i in chosen], reader, evidence.analysis.result.normalization) if reader else ()
    shown_pictures = {i: picture for i, picture in zip(chosen, pictures, strict=False) if picture}
    return Rows(rows, shown_pictures, list(sources), len(ordered) - len(rows))


def embedded(value: Any) -> Markup:
    """A value as JSON that can stand in a page."""
    return htmlsafe_json_dumps(value, ensure_ascii=False, separators=(",", ":"))


def _size(value: Any) -> int:
    """Bytes of a value in a page, with the comma after it."""
    return len(embedded(value).encode(errors="replace")) + 1


def _row(outcome: Outcome, name: str, source: int, other: str | int) -> list[Any]:
    truth, reading = outcome.truth, outcome.reading
    row: list[Any] = [name, truth, 0 if outcome.is_right else reading]
    row += [round(outcome.prediction.confidence * 10_000), *outcome.prediction.size, source]
    operations = Levenshtein.editops(truth, reading)
    row.append([value for name, i, j in operations for value in (_OPERATIONS[name], i, j)] or 0)
    row.append(other)
    return row


def _folder_of(outcomes: Sequence[Outcome]) -> str:
    """What the names of all pictures begin with: the folder that they are in, if there is one."""
    folders = {str(outcome.sample.path.parent) for outcome in outcomes}
    if len({Path(folder).is_absolute() for folder in folders}) > 1:
        return ""
    folder = os.path.commonpath(folders)
    return f"{folder}{os.sep}" if folder not in ("", os.sep) else folder


def _to_be_shown(ordered: Sequence[Outcome], comparison: Comparison | None) -> list[int]:
    """Which rows get a picture: the worst, and of a comparison what changed most."""
    wrong = sum(not outcome.is_right for outcome in ordered)
    chosen = list(range(min(max(wrong, _LEAST_PICTURES), _MOST_PICTURES, len(ordered))))
    if comparison:
        changed = {each.first.sample for each in (*comparison.better[:50], *comparison.worse[:50])}
        chosen += [i for i in range(len(chosen), len(ordered)) if ordered[i].sample in changed]
    return chosen


def _pictures(
    outcomes: Sequence[Outcome], reader: Reader, normalization: Normalization
) -> Iterator[tuple[str, list[int]] | None]:
    """For each sample its picture, and how sure each character of what is compared is; as many as there is room for."""
    samples = [outcome.sample for outcome in outcomes]
    readings = read_samples(reader.recognizer, samples, reader.decoder, replace(reader.read, characters=True))
    room = _PICTURE_BYTES
    for outcome, (sample, prediction) in zip(outcomes, readings, strict=True):
        try:
            uri = _data_uri(images.turned(images.load_gray(sample), prediction.orientation))
        except ImageError:  # it has gone since it was read
            yield None
            continue
        picture = uri, _confidences(prediction, outcome.reading, normalization)
        room -= _size(picture)
        if room < 0:
            return
        yield picture


def _confidences(prediction: Prediction, reading: str, normalization: Normalization) -> list[int]:
    """How sure each character of a reading is, in per cent; none where they cannot be told, as after normalising."""
    found = [(each.character, round(each.confidence * 100)) for each in prediction.characters]
    for characters in (found, found[::-1]):  # a text from right to left has them in the order on paper
        pieces = [(normalization(character), sure) for character, sure in characters]
        if "".join(piece for piece, _ in pieces) == reading:
            return [sure for piece, sure in pieces for _ in piece]
    return []


def _data_uri(grey: Image.Image) -> str:
    scale = min(1.0, _HIGHEST / grey.height, _WIDEST / grey.width)
    size = max(1, round(grey.width * scale)), max(1, round(grey.height * scale))
    file = io.BytesIO()
    (grey if scale == 1 else grey.resize(size, Image.Resampling.BILINEAR)).save(file, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
