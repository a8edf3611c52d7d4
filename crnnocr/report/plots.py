"""Axes of drawings: values on pixels, and round steps for their ticks.

What the page draws: points, lines and bars on axes, in pixels. The template writes them as SVG.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crnnocr.config import CONFIDENCE_BINS
from crnnocr.evaluation.analysis import Group
from crnnocr.formatting import plural
from crnnocr.metrics.bootstrap import Estimate
from crnnocr.metrics.calibration import Bin, RiskCoverage
from crnnocr.report.terminal import percent, rate


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` on pixels from `start` to `end`."""

    low: float
    """The least value."""
    high: float
    """The greatest."""
    start: float
    """The pixel of the least."""
    end: float
    """The pixel of the greatest."""
    ticks: tuple[float, ...]
    """The values that are marked."""
    is_log: bool = False
    """Whether equal distances are equal factors."""

    def at(self, value: float) -> float:
        """The pixel of a value; what lies outside is put on the border."""
        value = min(self.high, max(self.low, value))
        if self.is_log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten from below `low` to above `high`."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [float(f"{mantissa}e{exponent}") for exponent in exponents for mantissa in (1, 2, 5)]


def round_steps(high: float, most: int, past: bool = False) -> tuple[float, ...]:
    """From 0 in about `most` steps of 1, 2 or 5 times a power of ten: up to `high`, or to the first that is not below it."""
    step = next(value for value in decades(high / most, high) if value >= high / most)
    count = math.ceil(high / step - 1e-9) if past else math.floor(high / step + 1e-9)
    return tuple(float(f"{i * step:.12g}") for i in range(count + 1))


def short(value: float) -> str:
    """A count in as few figures as show it: 500, 20k, 1.5M."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


WIDTH, HEIGHT = 540, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 524, 14, 252
_BAR_SHARE = 0.34
"""Of the height, for the highest of the bars behind the points."""
_LEAST_KEPT = 20
"""Pictures of which an error rate is drawn."""
_UNIT = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Point:
    """A point with its interval."""

    x: float
    """Pixels from the left."""
    y: float
    """Pixels from the top."""
    low: float
    """Where its interval begins, in pixels from the top."""
    high: float
    """Where it ends."""
    told: str
    """What it says, in words."""


@dataclass(frozen=True)
class Bar:
    """A bar from the axis up."""

    x: float
    """Its left edge in pixels."""
    y: float
    """Its upper edge."""
    width: float
    """In pixels."""
    height: float
    """In pixels."""


@dataclass(frozen=True)
class Plot:
    """A drawing on two axes."""

    title: str
    """What it shows, in words."""
    x_title: str
    """What the horizontal axis is."""
    y_title: str
    """What the vertical axis is."""
    x_ticks: tuple[tuple[float, str], ...]
    """Pixels and text of each mark."""
    y_ticks: tuple[tuple[float, str], ...]
    """Pixels and text of each mark."""
    points: tuple[Point, ...] = ()
    """Points, which are not joined."""
    bars: tuple[Bar, ...] = ()
    """How many there are of each, faintly."""
    line: str = ""
    """The points of a line, as SVG has them."""
    guide: str = ""
    """A faint path: what would be ideal."""


def reliability(bins: Sequence[Bin]) -> Plot:
    """How often readings of some confidence are right."""
    across, up = Axis(0, 1, LEFT, RIGHT, _UNIT), Axis(0, 1, BOTTOM, TOP, _UNIT)
    most = max((each.n for each in bins), default=1)
    width = (RIGHT - LEFT) / CONFIDENCE_BINS - 6
    points, bars = [], []
    for each in bins:
        x = across.at(each.confidence)
        told = f"{plural(each.n, 'reading')}, {percent(each.confidence, 1)} sure: {percent(each.right, 1)} right"
        points.append(Point(x, up.at(each.right), up.at(each.low), up.at(each.high), told))
        bars.append(_bar(x, width, each.n / most))
    return Plot(
        "Reliability: how often readings of some confidence are right",
        "confidence",
        "read exactly",
        _marks(across),
        _marks(up),
        tuple(points),
        tuple(bars),
        guide=f"M{LEFT} {BOTTOM}L{RIGHT} {TOP}",
    )


def risk_coverage(curve: RiskCoverage) -> Plot:
    """How the error rate falls as the least sure pictures are refused."""
    most = max(0.0, 1 - _LEAST_KEPT / curve.pictures)
    steps = [each for each in curve.curve() if each.refused <= most]
    highest = max(max(each.cer for each in steps), 1e-3)
    ticks = round_steps(highest, 5, past=True)
    across, up = Axis(0, 1, LEFT, RIGHT, _UNIT), Axis(0, ticks[-1], BOTTOM, TOP, ticks)
    line = " ".join(f"{across.at(each.refused)},{up.at(each.cer)}" for each in steps)
    points = []
    for each in (each for each in curve.table()[1:] if each.refused <= most):
        y = up.at(each.cer)
        told = f"{each.refused:.0%} refused (below {percent(each.confidence, 1)}): CER {percent(each.cer)}"
        points.append(Point(across.at(each.refused), y, y, y, told))
    title = "Risk against coverage: the CER of what is left when the least sure pictures are refused"
    return Plot(title, "pictures refused", "CER of the others", _marks(across), _marks(up), tuple(points), line=line)


def by_size(groups: Sequence[Group], title: str, x_title: str) -> Plot:
    """The character error rate of groups of pictures, each named by where it begins, and how many there are of each."""
    highest = max((min(group.cer.high, 1.5) for group in groups if group.cer), default=1.0)
    ticks = round_steps(max(highest, 1e-3), 5, past=True)
    up = Axis(0, ticks[-1], BOTTOM, TOP, ticks)
    step, most = (RIGHT - LEFT) / max(len(groups), 1), max((group.n for group in groups), default=1)
    points, bars, marks = [], [], []
    for i, group in enumerate(groups):
        x = round(LEFT + (i + 0.5) * step, 1)
        if group.cer:
            told = f"{group.name}: CER {percent(group.cer.value)} of {plural(group.n, 'picture')}"
            points.append(_estimated(x, up, group.cer, told))
        bars.append(_bar(x, step * 0.7, group.n / most))
        marks.append((x, _short(group.name)))
    return Plot(title, x_title, "CER", tuple(marks), _marks(up), tuple(points), tuple(bars))


def _short(name: str) -> str:
    """The name of a group as far as there is room: `≤ 31`, then where it begins."""
    return name.replace("up to ", "≤ ").split("–")[0].removesuffix(" and more")


def _estimated(x: float, up: Axis, estimate: Estimate, told: str) -> Point:
    _, interval = rate(estimate)
    return Point(x, up.at(estimate.value), up.at(estimate.low), up.at(estimate.high), f"{told} ({interval})")


def _bar(middle: float, width: float, share: float) -> Bar:
    height = round(share * (BOTTOM - TOP) * _BAR_SHARE, 1)
    left = max(float(LEFT), middle - width / 2)
    return Bar(round(left, 1), round(BOTTOM - height, 1), round(min(RIGHT, middle + width / 2) - left, 1), height)


def _marks(axis: Axis) -> tuple[tuple[float, str], ...]:
    return tuple((axis.at(value), f"{short(round(value * 100, 6))}%") for value in axis.ticks)
