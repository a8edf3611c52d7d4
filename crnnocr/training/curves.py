"""`curves.svg`: how a training went, as a picture that needs nothing else to be looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crnnocr.axes import Axis, decades, round_steps, short
from crnnocr.files import replacing
from crnnocr.training.history import Row

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
        with replacing(path) as part:
            part.write_text(_svg(rows), encoding="utf-8")


def _svg(rows: Sequence[Row]) -> str:
    last, best = rows[-1], _best(rows)
    label = "kept" if best.kept else "best"
    across = Axis(0, max(last.pictures, 1), _LEFT, _RIGHT, round_steps(max(last.pictures, 1), _MOST_TICKS))
    xs = [across.at(row.pictures) for row in rows]
    told = f"{last.step:,} steps  ·  {last.pictures:,} pictures shown  ·  {_duration(last.seconds)}"
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


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{seconds / 60:.3g} min"
