"""One page that needs nothing else: an evaluation for a person to look at.

Everything goes through the template's own escaping (jinja2 with autoescape); the samples are JSON that a script of ours shows
as text, never as markup. The page's policy lets a browser run this script alone, and load nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from crnnocr import __version__
from crnnocr.datasets.issues import Severity
from crnnocr.evaluation.evaluate import Evidence
from crnnocr.formatting import plural, printable_name
from crnnocr.metrics.scores import METRICS
from crnnocr.report import plots, terminal
from crnnocr.report.samples import Rows, embedded, heatmap
from crnnocr.text.charset import visible

_FILES = Path(__file__).parent / "html_files"
_CHARACTERS = 400
"""Most characters in the table of characters, those with the most errors."""
_FREQUENT = 40
_GROUPS = 200
"""Rows of a table of groups, those of the most pictures."""
_NAMED = 100
"""Data sets, and characters that the model does not know, that are named."""
_GENERATOR = "crnnocr eval"
_HEAD = 200
"""Bytes in which a page says what has made it."""


def page(evidence: Evidence, rows: Rows) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(_FILES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        percent=terminal.percent,
        printable=printable_name,
        count=_count,
        plural=plural,
        rate=terminal.rate,
        largest=partial(terminal.largest, most=_GROUPS),
    )
    script, style = ((_FILES / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    analysis = evidence.analysis
    text = environment.get_template("page.html").render(
        evidence=evidence,
        analysis=analysis,
        result=analysis.result,
        comparison=evidence.comparison,
        generator=_GENERATOR,
        title=f"{evidence.model} on {_several(evidence.data)}",
        data_names=_several(evidence.data),
        version=__version__,
        style=style,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        headlines=list(_headlines(evidence)),
        heatmap=heatmap(analysis.confusions),
        characters=_characters(evidence),
        plots={
            "reliability": plots.reliability(analysis.reliability),
            "risk": plots.risk_coverage(analysis.risk_coverage),
            "length": plots.by_size(analysis.by_length, "CER by the length of the label", "characters in the label, from"),
            "width": plots.by_size(analysis.by_width, "CER by the width of the picture", "pixels along the line, from"),
        },
        frame=plots,
        compared=list(terminal.compared(evidence.comparison)) if evidence.comparison else [],
        summary=list(_summary(evidence)),
        data=_data(evidence, rows),
        left_out=rows.left_out,
    )
    return text.encode("utf-8", "replace").decode()


def is_page(path: Path) -> bool:
    """Whether a file is a page that an evaluation has written."""
    with path.open("rb") as file:
        return f'name="generator" content="{_GENERATOR}"'.encode() in file.read(_HEAD)


def _data(evidence: Evidence, rows: Rows) -> Markup:
    pictures = {str(i): picture for i, picture in rows.pictures.items()}
    compared = evidence.comparison.second_name if evidence.comparison else None
    return embedded({"rows": rows.rows, "pictures": pictures, "sources": rows.sources, "other": compared})


def _headlines(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """Each score: its name, its value, and where it may lie."""
    below = evidence.analysis.errors_below
    for key, estimate in evidence.analysis.scores.items():
        metric = METRICS[key]
        told = terminal.interval(metric, estimate)
        if estimate.value == metric.best:
            told = "no error seen" + (f": fewer than {terminal.percent(below)} of such pictures have one" if below else "")
        yield metric.title, metric.format(estimate.value), told


def _several(names: Sequence[str], separator: str = ", ") -> str:
    """The first of some names, and how many more there are."""
    more = f"{separator}and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return separator.join(map(printable_name, names[:_NAMED])) + more


def _count(number: float) -> str:
    return f"{number:,}"


def _characters(evidence: Evidence) -> list[tuple[Any, ...]]:
    """Each character with its counts, those with the most errors first."""
    scored = evidence.analysis.confusions.characters()
    scored.sort(key=lambda each: (2 * each.right - each.truths - each.readings, each.character))
    return [
        (
            visible(each.character),
            f"U+{ord(each.character):04X}",
            each.truths,
            each.readings,
            each.recall,
            each.precision,
            each.f1,
        )
        for each in scored[:_CHARACTERS]
    ]


def _summary(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What the data is, a line each."""
    analysis = evidence.analysis
    outcomes = analysis.outcomes
    yield "data", _several(evidence.data)
    yield "format", ", ".join(dict.fromkeys(evidence.formats))
    yield "pictures scored", f"{len(outcomes):,}"
    if evidence.trained_on:
        yield f"left out, as {' or '.join(evidence.models)} was trained on them", f"{evidence.trained_on:,}"
    if analysis.result.unreadable:
        yield "pictures that could not be read", f"{len(analysis.result.unreadable):,}"
    for issue in evidence.issues:
        if issue.severity is Severity.EXCLUDED:
            yield "left out", f"{issue.count:,} {issue.message} (first: {printable_name(issue.locations[0].detail)})"
    letters = Counter(character for outcome in outcomes for character in outcome.truth)
    yield "characters in the labels", f"{letters.total():,}, {len(letters):,} different ones"
    yield (
        "most frequent",
        "  ".join(f"{visible(character)}\u00a0{count:,}" for character, count in letters.most_common(_FREQUENT)),
    )
    yield "characters in a label", _spread([len(outcome.truth) for outcome in outcomes])
    yield "width of a picture", _spread([outcome.prediction.size[0] for outcome in outcomes], " pixels")
    yield "height of a picture", _spread([outcome.prediction.size[1] for outcome in outcomes], " pixels")
    if evidence.unknown:
        yield "unknown to the model", _several(evidence.unknown, "; ")


def _spread(values: Sequence[int], unit: str = "") -> str:
    low, quarter, middle, three_quarters, high = np.percentile(values, [0, 25, 50, 75, 100]).round().astype(int).tolist()
    return f"{low:,} to {high:,}{unit}, half of them {quarter:,} to {three_quarters:,}, median {middle:,}"
