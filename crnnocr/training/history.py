"""The history of a training: `history.jsonl` (a row for each validation), TensorBoard, and `curves.svg`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, get_type_hints
from xml.sax.saxutils import escape

from crnnocr.errors import DataError, UsageError
from crnnocr.files import atomic_write, write_error
from crnnocr.formatting import duration
from crnnocr.report.plots import Axis, decades, round_steps, short
from crnnocr.training.schedule import StepStats

if TYPE_CHECKING:
    from crnnocr.metrics.scores import Scores
    from crnnocr.training.improvement import Improvement
    from crnnocr.training.validation import Validation

HISTORY = "history.jsonl"
"""Name of the file with a row for each validation."""

CURVES = "curves.svg"
"""Name of the image of loss and error rates."""


@dataclass(frozen=True)
class HistoryRow(StepStats):
    """A validation: the figures of its step, and its scores."""

    cer: float
    """Character error rate on the validation split."""
    exact_match: float
    """Share of its lines without an error."""
    mean_levenshtein: float
    """Mean Levenshtein distance, in characters per line."""
    is_best: bool
    """Whether these were the weights to keep so far."""

    @classmethod
    def of(cls, validation: Validation) -> HistoryRow:
        """The row of a validation."""
        stats, scores = validation.progress, validation.scores
        row = cls(
            **{field.name: getattr(stats, field.name) for field in fields(StepStats)},
            cer=scores.cer,
            exact_match=scores.exact_match,
            mean_levenshtein=scores["mean_levenshtein"],
            is_best=validation.is_best,
        )
        return replace(row, seconds=round(row.seconds, 2), data_wait=round(row.data_wait, 4))

    def to_line(self) -> str:
        """The row as a line of the file."""
        return json.dumps({key: getattr(self, name) for key, name in _KEYS.items()}) + "\n"

    @classmethod
    def from_line(cls, line: bytes) -> HistoryRow:
        """Undo `to_line`. Raises `ValueError`, `TypeError` or `KeyError` if the line is not a row."""
        data = json.loads(line)
        kinds = get_type_hints(cls)
        return cls(**{name: _checked(data[key], kinds[name]) for key, name in _KEYS.items()})


def _checked(value: Any, kind: type) -> Any:
    """A value of a row. Raises `ValueError` if it is of another type than its field, or no finite number."""
    if type(value) not in ((int, float) if kind is float else (kind,)) or not abs(value) < _TOO_LARGE:
        raise ValueError(value)
    return value


_TOO_LARGE = 2**63
_KEYS = {
    "step": "step",
    "pictures": "samples_seen",
    "epoch": "epoch",
    "seconds": "seconds",
    "loss": "loss",
    "learning_rate": "learning_rate",
    "cer": "cer",
    "exact": "exact_match",
    "mean_levenshtein": "mean_levenshtein",
    "waiting": "data_wait",
    "kept": "is_best",
}
"""The keys of a line in the file, and the fields of a row."""


class History:
    """The history file of a running training. Each row is in the file as soon as it is added."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise write_error(path, error) from error

    @classmethod
    def open(cls, path: Path, up_to_step: int = 0) -> History:
        """Begin a history, or continue the one in `path` without the rows after `up_to_step`.

        Args:
            path: the file; its folder is made if it is missing.
            up_to_step: where the training is resumed; 0 begins a new one.

        Raises:
            DataError: a line is not a row. The last one may be cut off, after a kill; it is dropped.
            CrnnocrError: the file cannot be written.
        """
        rows = [row for row in load_history(path) if row.step <= up_to_step] if path.exists() else []
        with atomic_write(path) as part:
            part.write_text("".join(row.to_line() for row in rows), encoding="utf-8")
        return cls(path)

    def add(self, validation: Validation) -> None:
        """Write the row of a validation. Raises `CrnnocrError` if it cannot be written."""
        try:
            self._file.write(HistoryRow.of(validation).to_line())
            self._file.flush()
        except OSError as error:
            raise write_error(self._path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def load_history(path: Path) -> Iterator[HistoryRow]:
    """Read the rows of a history file, except a last one that was cut off.

    Raises `DataError`, naming the line, if another one is not a row.
    """
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if number == len(lines):  # complete lines end in a line end, so this one is empty, or cut off
            return
        try:
            yield HistoryRow.from_line(line)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: this is not a row of a history; remove the line to continue") from error


def check_tensorboard() -> None:
    """Raise `UsageError` if TensorBoard is not installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise UsageError("TensorBoard is not installed: pip install 'crnnocr[tensorboard]'") from error


class TensorBoard:
    """Writes scalars over the steps of a training to a folder that `tensorboard --logdir` shows."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, which is made if it is missing. Raises `UsageError` if TensorBoard is not installed."""
        check_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))
        self._last: HistoryRow | None = None

    def add(self, row: HistoryRow) -> None:
        """Write one row, with the speed since the row before."""
        samples_before, seconds_before = (self._last.samples_seen, self._last.seconds) if self._last else (0, 0.0)
        scalars = {
            "loss": row.loss,
            "validation/CER": row.cer,
            "validation/exact match": row.exact_match,
            "speed/images per second": (row.samples_seen - samples_before) / max(row.seconds - seconds_before, 1e-9),
            "speed/data wait": row.data_wait,
            "learning rate": row.learning_rate,
        }
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, row.step)
        self._writer.flush()
        self._last = row

    def close(self) -> None:
        """Close the folder."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


_WIDTH, _HEIGHT = 860, 700
_LEFT, _RIGHT = 72, 830
_PANELS = ((112, 262), (322, 472), (532, 632))
"""Top and bottom of each."""
_INK, _FAINT, _GRID = "#1f2933", "#616e7c", "#e4e7eb"
_FONTS = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"

_LOGARITHMIC_FROM = 8.0
"""Ratio of the largest to the smallest value from which on an axis is logarithmic."""
_MAX_TICKS = 8
_MAX_DOTS = 80
"""With more validations there are no dots."""


@dataclass(frozen=True)
class _Panel:
    """A curve of one value over the training."""

    title: str
    color: str
    axis: Axis
    values: tuple[float, ...]
    format: str
    """Format of the value at the best point."""
    unit: float
    """Factor from a value to its label on the axis."""
    suffix: str = ""
    ends: tuple[float, ...] = ()
    """The value of the start model, and that of the stored one, on the images as `eval` reads them."""


def draw_curves(path: Path, rows: Sequence[HistoryRow], improvement: Improvement | None = None) -> None:
    """Draw loss, CER and exact match over the samples seen; without rows no file is written.

    Of an improvement the start model's values are dashed lines, and the stored model's are diamonds at the end.

    Raises `CrnnocrError` if the file cannot be written.
    """
    if rows:
        with atomic_write(path) as part:
            part.write_text(_svg(rows, improvement), encoding="utf-8")


def _svg(rows: Sequence[HistoryRow], improvement: Improvement | None) -> str:
    last, best = rows[-1], _best(rows)
    label = "kept" if best.is_best else "best"
    across = Axis(0, max(last.samples_seen, 1), _LEFT, _RIGHT, round_steps(max(last.samples_seen, 1), _MAX_TICKS))
    xs = [across.at(row.samples_seen) for row in rows]
    summary = f"{last.step:,} steps  ·  {last.samples_seen:,} samples seen  ·  {duration(last.seconds)}"
    legend = f"as `eval` reads: dashed {improvement.start}, at the start; diamond this model" if improvement else ""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'role="img" font-family="{_FONTS}" font-size="13" fill="{_INK}">',
        f"<title>Training: CER {best.cer:.2%}, exact match {best.exact_match:.1%} after {best.samples_seen:,} samples</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#ffffff"/>',
        _text(_LEFT, 38, "How the training went", extra='font-size="19" font-weight="600"'),
        _text(_LEFT, 60, summary, color=_FAINT),
        _text(_RIGHT, 60, escape(legend), _FAINT, extra='text-anchor="end"'),
        *(part for panel in _panels(rows, improvement) for part in _draw(panel, across, xs, rows.index(best), label)),
        *_below(across),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _best(rows: Sequence[HistoryRow]) -> HistoryRow:
    """The row whose weights were kept or, if none were, the one with the lowest CER."""
    kept = [row for row in rows if row.is_best]
    return kept[-1] if kept else min(rows, key=lambda row: row.cer)


def _panels(rows: Sequence[HistoryRow], improvement: Improvement | None) -> Iterator[_Panel]:
    losses, cers = tuple(row.loss for row in rows), tuple(min(1.0, row.cer) for row in rows)
    ends: tuple[Scores, ...] = (improvement.before, improvement.after) if improvement else ()
    cer_ends, exact_ends = tuple(min(1.0, each.cer) for each in ends), tuple(each.exact_match for each in ends)
    (top, bottom), (cer_top, cer_bottom), (exact_top, exact_bottom) = _PANELS
    yield _Panel("Loss, nats per character", "#3b5bdb", _axis(losses, bottom, top), losses, "{:.3g}", 1)
    axis = _axis((*cers, *cer_ends), cer_bottom, cer_top)
    yield _Panel("Character error rate (CER)", "#d9480f", axis, cers, "{:.2f}", 100, " %", cer_ends)
    shares = Axis(0, 1, exact_bottom, exact_top, (0, 0.5, 1))
    exacts = tuple(row.exact_match for row in rows)
    yield _Panel("Exact match", "#2b8a3e", shares, exacts, "{:.1f}", 100, " %", exact_ends)


def _axis(values: Sequence[float], start: float, end: float) -> Axis:
    """A logarithmic axis if the values fall so far that their end would not be visible, else one from zero."""
    high, low = max(values), min((value for value in values if value > 0), default=0.0)
    if low > 0 and high / low > _LOGARITHMIC_FROM:
        marks = decades(low, high)
        low, high = max(v for v in marks if v <= low), min(v for v in marks if v >= high)
        ticks = tuple(v for v in marks if low <= v <= high)
        if len(ticks) > _MAX_TICKS:
            ticks = tuple(v for v in ticks if math.isclose(math.log10(v) % 1, 0, abs_tol=1e-9))
        return Axis(low, high, start, end, ticks, is_log=True)
    ticks = round_steps(max(high, 1e-6), 4, past=True)
    return Axis(0, ticks[-1], start, end, ticks)


def _draw(panel: _Panel, across: Axis, xs: Sequence[float], best: int, label: str) -> Iterator[str]:
    """Title, grid, the line, a dot on each point if there are few, and a ring on the best."""
    axis, stroke = panel.axis, f'stroke="{panel.color}"'
    best_value = f"{label}: {panel.format.format(panel.values[best] * panel.unit)}{panel.suffix}"
    yield _text(_LEFT, axis.end - 16, panel.title + (", logarithmic" if axis.is_log else ""), extra='font-weight="600"')
    yield _text(_RIGHT, axis.end - 16, best_value, panel.color, extra='font-weight="600" text-anchor="end"')
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
    if len(points) <= _MAX_DOTS:
        dots = "".join(f"M{x} {y}h0" for x, y in points)
        yield f'<path d="{dots}" {stroke} stroke-width="5" stroke-linecap="round"/>'
    x, y = points[best]
    yield f'<circle cx="{x}" cy="{y}" r="5" fill="#ffffff" {stroke} stroke-width="2.5"/>'
    if panel.ends:
        before, after = (axis.at(value) for value in panel.ends)
        yield f'<path d="M{_LEFT} {before}H{_RIGHT}" {stroke} stroke-width="1.5" stroke-dasharray="7 5"/>'
        yield f'<path d="M{xs[-1]} {after}m-7 0l7 -7l7 7l-7 7z" fill="{panel.color}"/>'


def _below(across: Axis) -> Iterator[str]:
    """Labels and title of the horizontal axis, which the panels share."""
    bottom = _PANELS[-1][1]
    for value in across.ticks:
        yield _text(across.at(value), bottom + 22, short(value), _FAINT, extra='text-anchor="middle"')
    yield _text((_LEFT + _RIGHT) / 2, bottom + 46, "samples seen", _FAINT, extra='text-anchor="middle"')


def _text(x: float, y: float, text: str, color: str = _INK, extra: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="{color}" {extra}>{text}</text>'
