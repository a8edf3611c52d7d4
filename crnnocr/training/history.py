"""`history.jsonl`: how a training went, one JSON row a validation.

The rows of a training's history for TensorBoard, where the extra of this name is installed.

`curves.svg`: how a training went, as a picture that needs nothing else to be looked at.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from crnnocr.errors import DataError, UsageError
from crnnocr.files import atomic_write, write_error
from crnnocr.formatting import minutes
from crnnocr.report.plots import Axis, decades, round_steps, short

if TYPE_CHECKING:
    from crnnocr.training.validation import Validation


@dataclass(frozen=True)
class Row:
    """Where the training stood at one validation."""

    step: int
    """Steps made."""
    pictures: int
    """Pictures shown."""
    epoch: int
    """The running epoch, from 1."""
    seconds: float
    """Wall time of the training, that before an interruption included."""
    loss: float
    """CTC loss in nats a character, averaged over the last steps of training."""
    learning_rate: float
    """Of the last step."""
    cer: float
    """Character error rate on the held-out pictures."""
    exact: float
    """Share of them that were read without an error."""
    mean_levenshtein: float
    """Mean Levenshtein distance on them, in characters a picture."""
    waiting: float
    """Share of the time that the network waited for pictures, 0 to 1."""
    kept: bool
    """Whether these were the weights to keep so far."""

    @classmethod
    def of(cls, event: Validation) -> Row:
        """The row of a validation."""
        return cls(
            step=event.step,
            pictures=event.pictures,
            epoch=event.epoch,
            seconds=round(event.seconds, 2),
            loss=event.loss,
            learning_rate=event.learning_rate,
            cer=event.scores.cer,
            exact=event.scores.exact_match,
            mean_levenshtein=event.scores["mean_levenshtein"],
            waiting=round(event.waiting, 4),
            kept=event.is_best,
        )


class History:
    """The rows of one training, in memory and in its file, where each stands as soon as it is added."""

    def __init__(self, path: Path, rows: list[Row]) -> None:
        self._path = path
        self._rows = rows
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise write_error(path, error) from error

    @classmethod
    def open(cls, path: Path, up_to_step: int = 0) -> History:
        """Begin a history, or go on with the one in `path`, of which the rows past `up_to_step` are dropped.

        Args:
            path: the file; its folder is made if need be.
            up_to_step: where the training goes on; 0 begins anew.

        Raises:
            DataError: a row before the last is none. The last one may be cut off, as a kill leaves it: then it is dropped.
            CrnnocrError: the file cannot be written.
        """
        rows = [row for row in read(path) if row.step <= up_to_step] if path.exists() else []
        with atomic_write(path) as part:
            part.write_text("".join(map(_line, rows)), encoding="utf-8")
        return cls(path, rows)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows so far."""
        return tuple(self._rows)

    def add(self, event: Validation) -> Row:
        """Write the row of a validation, and return it. Raises `CrnnocrError` where it cannot be written."""
        row = Row.of(event)
        try:
            self._file.write(_line(row))
            self._file.flush()
        except OSError as error:
            raise write_error(self._path, error) from error
        self._rows.append(row)
        return row

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def read(path: Path) -> Iterator[Row]:
    """The rows of a history file, but for a last one that was cut off.

    Raises `DataError`, naming the line, where another one is no row.
    """
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if number == len(lines):  # whole lines end in a line end, so this is empty, or cut off
            return
        try:
            data = json.loads(line)
            yield Row(**{field.name: data[field.name] for field in fields(Row)})
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path}, line {number}: this is no row of a history; remove the line to go on") from error


def _line(row: Row) -> str:
    return json.dumps(asdict(row)) + "\n"


def check_installed() -> None:
    """Raise `UsageError` where the extra is not installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise UsageError("TensorBoard is not installed: pip install 'crnnocr[tensorboard]'") from error


class TensorBoard:
    """Writes scalars over the steps of a training to a folder that `tensorboard --logdir` shows."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, which is made if need be. Raises `UsageError` where the extra is not installed."""
        check_installed()
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))
        self._before: Row | None = None

    def add(self, row: Row) -> None:
        """Write one row. The pace is that since the row before."""
        before = self._before
        pictures, seconds = (row.pictures, row.seconds) if before is None else _since(before, row)
        scalars = {
            "loss": row.loss,
            "held out/CER": row.cer,
            "held out/exact": row.exact,
            "pace/images a second": pictures / max(seconds, 1e-9),
            "pace/waiting": row.waiting,
            "learning rate": row.learning_rate,
        }
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, row.step)
        self._writer.flush()
        self._before = row

    def close(self) -> None:
        """Close the folder."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def _since(before: Row, row: Row) -> tuple[int, float]:
    """Pictures and seconds between two rows."""
    return row.pictures - before.pictures, row.seconds - before.seconds


_WIDTH, _HEIGHT = 860, 700
_LEFT, _RIGHT = 72, 830
_PANELS = ((112, 262), (322, 472), (532, 632))
"""Top and bottom of each."""
_INK, _FAINT, _GRID = "#1f2933", "#616e7c", "#e4e7eb"
_FONTS = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"

_LOG_FROM = 8.0
"""How many times the smallest value the largest must be for a logarithmic axis."""
_MOST_TICKS = 8
_MOST_DOTS = 80
"""Validations up to which each has a dot."""


@dataclass(frozen=True)
class _Panel:
    """One value over the training."""

    title: str
    colour: str
    axis: Axis
    values: tuple[float, ...]
    format: str
    """Of the value at the best point."""
    unit: float
    """What one is on the ticks."""
    suffix: str = ""


def curves(path: Path, rows: Sequence[Row]) -> None:
    """Draw loss, CER and exact match over the pictures shown. Nothing is drawn of no rows.

    Raises `CrnnocrError` where the file cannot be written.
    """
    if rows:
        with atomic_write(path) as part:
            part.write_text(_svg(rows), encoding="utf-8")


def _svg(rows: Sequence[Row]) -> str:
    last, best = rows[-1], _best(rows)
    label = "kept" if best.kept else "best"
    across = Axis(0, max(last.pictures, 1), _LEFT, _RIGHT, round_steps(max(last.pictures, 1), _MOST_TICKS))
    xs = [across.at(row.pictures) for row in rows]
    told = f"{last.step:,} steps  ·  {last.pictures:,} pictures shown  ·  {minutes(last.seconds)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'role="img" font-family="{_FONTS}" font-size="13" fill="{_INK}">',
        f"<title>Training: CER {best.cer:.2%}, exact {best.exact:.1%} after {best.pictures:,} pictures</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#ffffff"/>',
        _text(_LEFT, 38, "How the training went", extra='font-size="19" font-weight="600"'),
        _text(_LEFT, 60, told, colour=_FAINT),
        *(part for panel in _panels(rows) for part in _draw(panel, across, xs, rows.index(best), label)),
        *_below(across),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _best(rows: Sequence[Row]) -> Row:
    """The row whose weights were kept; where none were, the one with the smallest CER."""
    kept = [row for row in rows if row.kept]
    return kept[-1] if kept else min(rows, key=lambda row: row.cer)


def _panels(rows: Sequence[Row]) -> Iterator[_Panel]:
    losses, cers = tuple(row.loss for row in rows), tuple(min(1.0, row.cer) for row in rows)
    (top, bottom), (cer_top, cer_bottom), (exact_top, exact_bottom) = _PANELS
    yield _Panel("Loss, nats a character", "#3b5bdb", _axis(losses, bottom, top), losses, "{:.3g}", 1)
    yield _Panel("Character error rate (CER)", "#d9480f", _axis(cers, cer_bottom, cer_top), cers, "{:.2f}", 100, " %")
    shares = Axis(0, 1, exact_bottom, exact_top, (0, 0.5, 1))
    yield _Panel("Pictures read exactly", "#2b8a3e", shares, tuple(row.exact for row in rows), "{:.1f}", 100, " %")


def _axis(values: Sequence[float], start: float, end: float) -> Axis:
    """Logarithmic where the values fall far, for the end to be seen; else from zero."""
    high, low = max(values), min((value for value in values if value > 0), default=0.0)
    if low > 0 and high / low > _LOG_FROM:
        marks = decades(low, high)
        low, high = max(v for v in marks if v <= low), min(v for v in marks if v >= high)
        ticks = tuple(v for v in marks if low <= v <= high)
        if len(ticks) > _MOST_TICKS:
            ticks = tuple(v for v in ticks if math.isclose(math.log10(v) % 1, 0, abs_tol=1e-9))
        return Axis(low, high, start, end, ticks, is_log=True)
    ticks = round_steps(max(high, 1e-6), 4, past=True)
    return Axis(0, ticks[-1], start, end, ticks)


def _draw(panel: _Panel, across: Axis, xs: Sequence[float], best: int, label: str) -> Iterator[str]:
    """A panel: title, grid, the line, a dot on each point if there are few, and a ring on the best."""
    axis, stroke = panel.axis, f'stroke="{panel.colour}"'
    told = f"{label}: {panel.format.format(panel.values[best] * panel.unit)}{panel.suffix}"
    yield _text(_LEFT, axis.end - 16, panel.title + (", logarithmic" if axis.is_log else ""), extra='font-weight="600"')
    yield _text(_RIGHT, axis.end - 16, told, panel.colour, extra='font-weight="600" text-anchor="end"')
    for value in axis.ticks:
        y = axis.at(value)
        yield f'<path d="M{_LEFT} {y}H{_RIGHT}" stroke="{_FAINT if y == axis.start else _GRID}"/>'
        yield _text(_LEFT - 10, y + 4.5, f"{value * panel.unit:g}{panel.suffix}", _FAINT, extra='text-anchor="end"')
    for value in across.ticks:
        yield f'<path d="M{across.at(value)} {axis.start}v5" stroke="{_FAINT}"/>'
    yield f'<path d="M{xs[best]} {axis.start}V{axis.end}" stroke="{_FAINT}" stroke-dasharray="2 4"/>'
    points = [(x, axis.at(value)) for x, value in zip(xs, panel.values, strict=True)]
    line = " ".join(f"{x},{y}" for x, y in points)
    yield f'<polyline points="{line}" fill="none" {stroke} stroke-width="2" stroke-linejoin="round"/>'
    if len(points) <= _MOST_DOTS:
        dots = "".join(f"M{x} {y}h0" for x, y in points)
        yield f'<path d="{dots}" {stroke} stroke-width="5" stroke-linecap="round"/>'
    x, y = points[best]
    yield f'<circle cx="{x}" cy="{y}" r="5" fill="#ffffff" {stroke} stroke-width="2.5"/>'


def _below(across: Axis) -> Iterator[str]:
    """Labels and title of the axis that the panels share."""
    bottom = _PANELS[-1][1]
    for value in across.ticks:
        yield _text(across.at(value), bottom + 22, short(value), _FAINT, extra='text-anchor="middle"')
    yield _text((_LEFT + _RIGHT) / 2, bottom + 46, "pictures shown", _FAINT, extra='text-anchor="middle"')


def _text(x: float, y: float, text: str, colour: str = _INK, extra: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" {extra}>{text}</text>'
