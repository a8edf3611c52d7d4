"""What was read for what, as a table: a row a true character, a column a reading."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from crnnocr.confusions import Confusions, Edit, visible

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
