"""Plots of the HTML page, laid out in pixels; its template writes them as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crnnocr.config import CONFIDENCE_BINS
from crnnocr.evaluation.analysis import Group
from crnnocr.formatting import plural
from crnnocr.metrics.bootstrap import Estimate
from crnnocr.metrics.calibration import Bin, RiskCoverage
from crnnocr.report.terminal import error_rate, percent

WIDTH, HEIGHT = 540, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 524, 14, 252
"""Edges of the plotting area within a plot of that size."""
_BAR_HEIGHT = 0.34
"""Height of the tallest histogram bar, as a share of the plotting area."""
_MIN_KEPT = 20
"""Fewest samples whose error rate the risk-coverage curve shows."""
_UNIT = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Axis:
    """Maps values from `low` to `high` onto pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def at(self, value: float) -> float:
        """Find the pixel of a value; values outside are clipped."""
        value = min(self.high, max(self.low, value))
        if self.is_log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def decades(low: float, high: float) -> list[float]:
    """List 1, 2 and 5 times the powers of ten, from below `low` to above `high`."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [float(f"{mantissa}e{exponent}") for exponent in exponents for mantissa in (1, 2, 5)]


def round_steps(high: float, steps: int, past: bool = False) -> tuple[float, ...]:
    """Choose ticks from 0 to `high` in at most `steps` steps of 1, 2 or 5 times a power of ten.

    The last tick is the last one up to `high`, or, if `past`, the first one that is not below it.
    """
    step = next(value for value in decades(high / steps, high) if value >= high / steps)
    count = math.ceil(high / step - 1e-9) if past else math.floor(high / step + 1e-9)
    return tuple(float(f"{i * step:.12g}") for i in range(count + 1))


def short(value: float) -> str:
    """Write a count in few figures: 500, 20k, 1.5M."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


@dataclass(frozen=True)
class Point:
    """A point with its interval, in pixels."""

    x: float
    y: float
    low: float
    """Lower end of the interval, in pixels from the top."""
    high: float
    label: str


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram, in pixels from the top left."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Plot:
    """Points, a line and bars on two axes."""

    title: str
    x_title: str
    y_title: str
    x_ticks: tuple[tuple[float, str], ...]
    """Pixel and text of each tick."""
    y_ticks: tuple[tuple[float, str], ...]
    points: tuple[Point, ...] = ()
    bars: tuple[Bar, ...] = ()
    """How many samples stand behind each point."""
    line: str = ""
    """Points of a polyline, in SVG's syntax."""
    guide: str = ""
    """An SVG path that marks the ideal."""


def reliability(bins: Sequence[Bin]) -> Plot:
    """Plot accuracy against confidence."""
    across, up = Axis(0, 1, LEFT, RIGHT, _UNIT), Axis(0, 1, BOTTOM, TOP, _UNIT)
    largest = max((each.n for each in bins), default=1)
    width = (RIGHT - LEFT) / CONFIDENCE_BINS - 6
    points, bars = [], []
    for each in bins:
        x = across.at(each.confidence)
        label = f"{plural(each.n, 'image')}, confidence {percent(each.confidence, 1)}: {percent(each.accuracy, 1)} correct"
        points.append(Point(x, up.at(each.accuracy), up.at(each.low), up.at(each.high), label))
        bars.append(_bar(x, width, each.n / largest))
    return Plot(
        "Reliability: how often predictions of some confidence are correct",
        "confidence",
        "exact match",
        _ticks(across),
        _ticks(up),
        tuple(points),
        tuple(bars),
        guide=f"M{LEFT} {BOTTOM}L{RIGHT} {TOP}",
    )


def risk_coverage(curve: RiskCoverage) -> Plot:
    """Plot the error rate of what remains against the share of rejected images."""
    last = max(0.0, 1 - _MIN_KEPT / curve.samples)
    steps = [each for each in curve.curve() if each.rejected <= last]
    highest = max(max(each.cer for each in steps), 1e-3)
    ticks = round_steps(highest, 5, past=True)
    across, up = Axis(0, 1, LEFT, RIGHT, _UNIT), Axis(0, ticks[-1], BOTTOM, TOP, ticks)
    line = " ".join(f"{across.at(each.rejected)},{up.at(each.cer)}" for each in steps)
    points = []
    for each in (each for each in curve.table()[1:] if each.rejected <= last):
        y = up.at(each.cer)
        label = f"{each.rejected:.0%} rejected (below {percent(each.threshold, 1)}): CER {percent(each.cer)}"
        points.append(Point(across.at(each.rejected), y, y, y, label))
    title = "Risk and coverage: the CER of what remains when the least confident images are rejected"
    return Plot(title, "rejected images", "CER of the others", _ticks(across), _ticks(up), tuple(points), line=line)


def by_size(groups: Sequence[Group], title: str, x_title: str) -> Plot:
    """Plot the error rates of groups, each marked by where it begins, and how many images each has."""
    highest = max((min(group.cer.high, 1.5) for group in groups if group.cer), default=1.0)
    ticks = round_steps(max(highest, 1e-3), 5, past=True)
    up = Axis(0, ticks[-1], BOTTOM, TOP, ticks)
    step, largest = (RIGHT - LEFT) / max(len(groups), 1), max((group.n for group in groups), default=1)
    points, bars, x_ticks = [], [], []
    for i, group in enumerate(groups):
        x = round(LEFT + (i + 0.5) * step, 1)
        if group.cer:
            label = f"{group.name}: CER {percent(group.cer.value)} of {plural(group.n, 'image')}"
            points.append(_estimate(x, up, group.cer, label))
        bars.append(_bar(x, step * 0.7, group.n / largest))
        x_ticks.append((x, _first_size(group.name)))
    return Plot(title, x_title, "CER", tuple(x_ticks), _ticks(up), tuple(points), tuple(bars))


def _first_size(name: str) -> str:
    """Shorten the name of a group to where it begins; `≤ 31` for the first."""
    return name.replace("up to ", "≤ ").split("–")[0].removesuffix(" and more")


def _estimate(x: float, up: Axis, cer: Estimate, label: str) -> Point:
    _, interval = error_rate(cer)
    return Point(x, up.at(cer.value), up.at(cer.low), up.at(cer.high), f"{label} ({interval})")


def _bar(center: float, width: float, share: float) -> Bar:
    height = round(share * (BOTTOM - TOP) * _BAR_HEIGHT, 1)
    left = max(float(LEFT), center - width / 2)
    return Bar(round(left, 1), round(BOTTOM - height, 1), round(min(RIGHT, center + width / 2) - left, 1), height)


def _ticks(axis: Axis) -> tuple[tuple[float, str], ...]:
    return tuple((axis.at(value), f"{short(round(value * 100, 6))}%") for value in axis.ticks)
