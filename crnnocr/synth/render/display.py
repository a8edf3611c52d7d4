"""Text on seven-segment, fourteen-segment and dot-matrix displays, with units printed beside it, as ink."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from crnnocr.synth.fonts import FontFace
from crnnocr.synth.render.display_glyphs import (
    DOT_COLUMNS,
    DOT_ROWS,
    DOTS,
    FOURTEEN,
    MARKS,
    SEVEN,
    SEVEN_VARIANTS,
    SHOWN,
    Display,
)
from crnnocr.synth.render.ink import Ink, Pen
from crnnocr.synth.render.recipe import Recipe

_DIGIT = 0.72
"""Height of a digit in ems, as of the capitals of a font."""
_ROOM = 1.4
"""Room around the line, in ems."""
_OVERSAMPLED = 4
"""Pixels along each side of a pixel of the ink, from which that is averaged."""
_REACH = 0.4
"""How far commas and dots reach above and below the digits, in heights of these, at most."""
_PRINTED = re.compile(r"(?P<before>[^\d-]*)(?P<shown>.*?)(?P<after>[^\d.,]*)")
"""A word with digits, and what may be printed before and after them."""
_UNITS = frozenset(
    (
        *(
            "A",
            "mA",
            "V",
            "mV",
            "kV",
            "W",
            "kW",
            "kWh",
            "Wh",
            "Hz",
            "°C",
            "°F",
            "C",
            "F",
            "%",
            "%RH",
            "RH",
            "g",
            "kg",
            "lb",
            "oz",
        ),
        *("t", "m³", "m³/h", "L", "l", "mL", "bar", "mbar", "kPa", "psi", "ppm", "AM", "PM", "$", "€", "£", "h", "min", "s"),
    )
)
"""Units that are often printed beside a display that could show them."""
_CURRENCIES = ("$", "€", "£")
_UNIT_PRINTED = 0.5
"""Probability of that."""
_VARIANT = 0.25
"""Probability of each of `SEVEN_VARIANTS` in a text without letters."""
_SMALL_FRACTION = 0.08
"""Probability of smaller digits after the point."""
_OFFSET = 0.3
"""Probability that the light around segments lies to one side, as a shadow under a liquid crystal does."""

Point = tuple[float, float]
Polygon = list[Point]

_SQUARE: Polygon = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]
_ROUND: Polygon = [(1.0, 0.0), (0.8, 0.6), (0.6, 0.8), (0.0, 1.0), (-0.6, 0.8), (-0.8, 0.6)]
_ROUND += [(-x, -y) for x, y in _ROUND]


def can_show(text: str, kind: Display, face: FontFace) -> bool:
    """Whether a display of this kind shows `text`, if letters beside the digits may be printed."""
    shown = SHOWN[kind]
    return all(shown.issuperset(part) or (printable and face.draws(part)) for part, printable in _parts(text))


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """The parts of `text`, "" for a space, and whether each may be printed: words beside digits, and units at these."""
    has_digits = any(map(str.isdecimal, text))
    for position, word in enumerate(text.split(" ")):
        if position:
            yield "", False
        if any(map(str.isdecimal, word)):
            match = _PRINTED.fullmatch(word)
            assert match is not None  # it takes any word
            before, shown, after = match.groups()
            parts = ((before, before in _CURRENCIES), (shown, False), (after, after in _UNITS))
            yield from (part for part in parts if part[0])
        else:
            yield word, has_digits and (word in _UNITS or any(map(str.isalpha, word)))


@dataclass(frozen=True)
class _Design:
    """How a display is built. Lengths are shares of a digit's height."""

    kind: Display
    width: float
    """Of a cell."""
    thickness: float
    """Of a segment; of a dot, as a share of the distance between dots."""
    gap: float
    """Between a segment and where it would meet the next."""
    spacing: float
    """Between cells."""
    slant: float
    """Along the line for each unit up."""
    ends: str
    """Of segments: `mitered`, `pointed` or `blunt`."""
    round_dots: bool
    own_cell: bool
    """Whether points have a cell of their own; others stand in the space between two."""
    variants: dict[str, str]

    @classmethod
    def sample(cls, kind: Display, text: str, recipe: Recipe, rng: np.random.Generator) -> _Design:
        """A random display of a kind, for a text."""
        fourteen, dots = kind is Display.FOURTEEN, kind is Display.DOTS
        width = float(rng.uniform(0.55, 0.75) if fourteen else rng.uniform(0.42, 0.66))
        thickness = width * float(rng.uniform(0.12, 0.17) if fourteen else rng.uniform(0.15, 0.3))
        can_vary = kind is Display.SEVEN and not any(map(str.isalpha, text))
        return cls(
            kind=kind,
            width=DOT_COLUMNS / DOT_ROWS if dots else width,
            thickness=float(rng.uniform(0.65, 0.98)) if dots else thickness,
            gap=float(rng.choice([0.0, 0.008, 0.02, 0.035])),
            spacing=float(rng.uniform(0.12, 0.4)) if not dots else float(rng.integers(1, 3)) / DOT_ROWS,
            slant=0.0 if dots else recipe.slant.sample(rng),
            ends=str(rng.choice(["mitered", "mitered", "pointed", "blunt"])),
            round_dots=bool(rng.random() < 0.6),
            own_cell=bool(rng.random() < 0.2),
            variants={digit: segments for digit, segments in SEVEN_VARIANTS.items() if can_vary and rng.random() < _VARIANT},
        )

    def cell(self, character: str, lit: bool) -> list[Polygon]:
        """The segments or dots of a character's cell that are lit, or those that are off: all in a blank cell."""
        on = self._table.get(character, ())
        return [polygon for name, polygon in self._elements if (name in on) is lit]

    @cached_property
    def _table(self) -> Mapping[str, Container[str | tuple[int, int]]]:
        """The names of what is lit for each character."""
        if self.kind is Display.DOTS:
            return DOTS
        return FOURTEEN if self.kind is Display.FOURTEEN else {**SEVEN, **self.variants}

    @cached_property
    def _elements(self) -> list[tuple[str | tuple[int, int], Polygon]]:
        """The segments or dots of a cell by their names."""
        if self.kind is not Display.DOTS:
            return list(self._segments())
        size = self.thickness / DOT_ROWS
        places = ((column, row) for row in range(DOT_ROWS) for column in range(DOT_COLUMNS))
        return [((x, y), self.dot(((x + 0.5) / DOT_ROWS, (y + 0.5) / DOT_ROWS), size)) for x, y in places]

    def dot(self, middle: Point, size: float) -> Polygon:
        """A round or square dot."""
        shape = _ROUND if self.round_dots else _SQUARE
        return [(middle[0] + x * size / 2, middle[1] + y * size / 2) for x, y in shape]

    def _segments(self) -> Iterator[tuple[str, Polygon]]:
        """The segments of a cell by their names."""
        half = self.thickness / 2
        left, center, right = half, self.width / 2, self.width - half
        top, middle, bottom = half, 0.5, 1 - half
        up, down, out, back = (0.0, -1.0), (0.0, 1.0), (1.0, 0.0), (-1.0, 0.0)
        yield "a", self._outer((left, top), (right, top), up, True, True)
        yield "b", self._outer((right, top), (right, middle), out, True, False)
        yield "c", self._outer((right, middle), (right, bottom), out, False, True)
        yield "d", self._outer((left, bottom), (right, bottom), down, True, True)
        yield "e", self._outer((left, middle), (left, bottom), back, False, True)
        yield "f", self._outer((left, top), (left, middle), back, True, False)
        if self.kind is Display.SEVEN:
            yield "g", self._inner((left, middle), (right, middle), 0, 0, pointed=True)
            return
        yield "g", self._inner((left, middle), (center, middle), 0, 0, pointed=True)
        yield "G", self._inner((center, middle), (right, middle), 0, 0, pointed=True)
        for name, x, y in (("i", center, top), ("l", center, bottom)):
            yield name, self._inner((x, y), (center, middle), self.thickness, half)
        for name, x, y in (("h", left, top), ("j", right, top), ("k", left, bottom), ("m", right, bottom)):
            yield name, self._inner((x, y), (center, middle), 1.2 * self.thickness, 0.7 * self.thickness)

    def _outer(self, start: Point, end: Point, outside: Point, from_corner: bool, to_corner: bool) -> Polygon:
        """A segment at the edge of its cell; `outside` points away from that."""
        if self.ends == "pointed":
            return self._inner(start, end, 0, 0, pointed=True)
        half = self.thickness / 2
        along = _direction(start, end)
        first, last = (self.gap - half if corner else self.gap for corner in (from_corner, to_corner))
        inner_first = inner_last = self.gap + half
        if self.ends == "blunt":  # those that stand reach the corners, and the others lie between them
            if outside[0]:
                inner_first, inner_last = first, last
            else:
                first = last = inner_first
        return [
            _moved(start, along, first, outside, half),
            _moved(end, along, -last, outside, half),
            _moved(end, along, -inner_last, outside, -half),
            _moved(start, along, inner_first, outside, -half),
        ]

    def _inner(self, start: Point, end: Point, first: float, last: float, pointed: bool = False) -> Polygon:
        """A segment that lacks `first` and `last` of its length at its ends."""
        half = self.thickness / 2
        along = _direction(start, end)
        across = (-along[1], along[0])
        first, last = first + self.gap + half, last + self.gap + half
        sides = [_moved(start, along, first, across, half), _moved(end, along, -last, across, half)]
        others = [_moved(end, along, -last, across, -half), _moved(start, along, first, across, -half)]
        if not pointed:
            return sides + others
        tips = _moved(end, along, half - last, across, 0), _moved(start, along, first - half, across, 0)
        return [*sides, tips[0], *others, tips[1]]


def _direction(start: Point, end: Point) -> Point:
    x, y = end[0] - start[0], end[1] - start[1]
    length = float(np.hypot(x, y))
    return x / length, y / length


def _moved(point: Point, along: Point, distance: float, across: Point, offset: float) -> Point:
    return (
        point[0] + along[0] * distance + across[0] * offset,
        point[1] + along[1] * distance + across[1] * offset,
    )


@dataclass
class _Board:
    """A display from left to right: lit, off and printed. Lengths are shares of a digit's height."""

    design: _Design
    pen: Pen
    unit: float
    """Pixels of a digit's height."""
    x: float = 0.0
    """Where the next part begins."""
    cells: list[tuple[str, float, float]] = field(default_factory=list)
    """Character, place and scale of each cell."""
    marks: list[Polygon] = field(default_factory=list)
    printed: list[tuple[float, str]] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    """Where each character begins."""

    def show(self, text: str, fraction: float) -> None:
        """Show characters, with those after a point smaller by the factor `fraction`."""
        scale = 1.0
        for character in text:
            self.starts.append(self.x)
            if character in MARKS and self.design.kind is not Display.DOTS:
                self._mark(character)
                scale = scale if character == ":" else fraction
            else:
                self.cells.append((character, self.x, scale))
                self.x += scale * (self.design.width + self.design.spacing)

    def skip(self, width: float) -> None:
        """Leave a space, `width` cells wide."""
        self.starts.append(self.x)
        self.cells.append((" ", self.x, 1.0))
        self.x += self.design.width * width + self.design.spacing

    def lamps(self, lit: bool) -> list[Polygon]:
        """All that is on, or all that is off."""
        found = list(self.marks) if lit else []
        for character, x, scale in self.cells:
            found += [self._placed(polygon, x, scale) for polygon in self.design.cell(character, lit)]
        return found

    def _mark(self, mark: str) -> None:
        """Draw a point, comma or colon in the space after the cell before it, which is widened if it is too narrow."""
        design = self.design
        size = float(max(0.09, min(0.17, design.thickness * 1.15)))
        room = max(design.spacing, size + 0.1) + (0.6 * design.width if design.own_cell else 0.0)
        begin = self.x - design.spacing if self.starts[:-1] else self.x
        middle = begin + room / 2
        heights = (0.28, 0.72) if mark == ":" else (1 - size / 2,)
        dots = [design.dot((0.0, height), size) for height in heights]
        if mark == ",":
            dots.append([(-0.5 * size, 1 - size), (0.5 * size, 1 - size), (0.5 * size, 1), (-0.7 * size, 1 + 1.5 * size)])
        self.starts[-1] = middle - size / 2
        # Under a slanted line all dots keep to the space between the two cells.
        self.marks += [self._placed(dot, middle, 1.0) for dot in dots]
        self.x = begin + room

    def print(self, text: str, gap: float) -> None:
        """Print letters in a font."""
        self.x += gap
        self.starts += [self.x + self.pen.length(text[:index]) / self.unit for index in range(len(text))]
        self.printed.append((self.x, text))
        self.x += self.pen.length(text) / self.unit + gap

    def _placed(self, polygon: Polygon, x: float, scale: float) -> Polygon:
        """A polygon of a cell at `x` that stands on the line, slanted."""
        return [(x + scale * (px + self.design.slant * (1 - py)), 1 - scale * (1 - py)) for px, py in polygon]


def draw(text: str, face: FontFace, size: int, recipe: Recipe, rng: np.random.Generator) -> Ink:
    """Draw `text` on a display, on a canvas with room on all sides for the warp that follows.

    Args:
        text: of the characters that displays show (`display_glyphs.CHARACTERS`).
        face: a font for the units that are printed beside it.
        size: of a font whose capitals are as high as the digits, in pixels.
        recipe: the effects, and the kinds of displays.
        rng: source of all randomness.
    """
    kind = _choose(text, face, recipe, rng)
    design = _Design.sample(kind, text, recipe, rng)
    parts = [(part, printable and _is_printed(part, kind, face, rng)) for part, printable in _parts(text)]
    share = float(rng.uniform(0.6, 0.95)) if any(printed for _, printed in parts) else 1.0
    pen = Pen(face.pillow(round(share * size)), round(share * size), None)
    board = _Board(design, pen, _DIGIT * size)
    fraction = float(rng.uniform(0.65, 0.85)) if kind is Display.SEVEN and rng.random() < _SMALL_FRACTION else 1.0
    gap = float(rng.uniform(0.08, 0.5))
    for part, printed in parts:
        if not part:
            board.skip(float(rng.uniform(0.6, 1.2)))
        elif printed:
            board.print(part, gap)
        else:
            board.show(part, fraction)
    for place in range(1, int(rng.integers(0, 3)) + 1):
        board.cells.append((" ", -place * (design.width + design.spacing), 1.0))
    return _ink(text, board, size, recipe, rng)


def _is_printed(part: str, kind: Display, face: FontFace, rng: np.random.Generator) -> bool:
    """Whether a part that may be printed is: if it cannot be shown, and sometimes if it is a unit."""
    wanted = not SHOWN[kind].issuperset(part) or (part in _UNITS and rng.random() < _UNIT_PRINTED)
    return wanted and face.draws(part)


def _choose(text: str, face: FontFace, recipe: Recipe, rng: np.random.Generator) -> Display:
    """One of the recipe's kinds that can show `text`; the matrix of dots shows all."""
    shares = {kind: share for kind, share in recipe.displays if can_show(text, kind, face)} or {Display.DOTS: 1.0}
    ends = np.cumsum(list(shares.values()))
    return list(shares)[min(int(np.searchsorted(ends, rng.random() * ends[-1], side="right")), len(shares) - 1)]


def _ink(text: str, board: _Board, size: int, recipe: Recipe, rng: np.random.Generator) -> Ink:
    room = round(_ROOM * size)
    canvas = (int(board.x * board.unit) + 2 * room + 1, int(board.unit) + 2 * room)
    mask = _filled(board.lamps(True), canvas, room, board.unit)
    baseline = room + round(board.unit)
    raised = round(float(rng.random()) * (board.unit - _DIGIT * board.pen.size)) if rng.random() < 0.3 else 0
    lit = mask.copy()
    for x, word in board.printed:
        board.pen.write(mask, (room + x * board.unit, baseline - raised), word)
    left, _, right, _ = mask.getbbox() or (0, 0, mask.width, 0)
    starts = [0.0, *((room + start * board.unit - left) / (right - left) for start in board.starts[1:])]
    faint = Image.new("L", canvas)
    if ghost := recipe.ghost.sample(rng):
        faint = _filled(board.lamps(False), canvas, room, board.unit).point([round(ghost * level) for level in range(256)])
    if glow := recipe.glow.sample(rng):
        light = lit.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.03, 0.12)) * size))
        if rng.random() < _OFFSET:
            x, y = (round(float(rng.uniform(-0.06, 0.06)) * size) for _ in range(2))
            light = ImageChops.offset(light, x, y)
        faint = ImageChops.lighter(faint, light.point([round(glow * level) for level in range(256)]))
    return Ink(text, board.pen, (room, baseline), mask, (left, right), faint=faint, starts=starts, em=size)


def _filled(polygons: list[Polygon], canvas: tuple[int, int], room: int, unit: float) -> Image.Image:
    """A mask of mode L with the polygons filled."""
    above = round(room - _REACH * unit)  # to save the oversampling of what stays blank
    large = Image.new("L", (_OVERSAMPLED * canvas[0], _OVERSAMPLED * (canvas[1] - 2 * above)))
    pencil = ImageDraw.Draw(large)
    for polygon in polygons:
        pencil.polygon([(_OVERSAMPLED * (room + x * unit), _OVERSAMPLED * (room - above + y * unit)) for x, y in polygon], 255)
    mask = Image.new("L", canvas)
    mask.paste(large.reduce(_OVERSAMPLED), (0, above))
    return mask
