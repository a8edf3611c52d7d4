"""How figures are written for people.

An evaluation's result as tables and lines for people.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crnnocr.evaluation.analysis import Group
from crnnocr.evaluation.comparison import Change, Comparison
from crnnocr.evaluation.evaluate import Evidence
from crnnocr.formatting import plural, printable_name
from crnnocr.metrics.bootstrap import Estimate
from crnnocr.metrics.scores import METRICS, Metric


def percent(number: float, digits: int = 2) -> str:
    """A share in per cent."""
    return f"{number:.{digits}%}"


def interval(metric: Metric, estimate: Estimate) -> str:
    """Write the interval of an estimate."""
    return f"{metric.format(estimate.low)} – {metric.format(estimate.high)}"


def rate(estimate: Estimate | None) -> tuple[str, str]:
    """An error rate and where it may lie, for a table; dashes where there is nothing to divide by."""
    if estimate is None:
        return "–", "–"
    return percent(estimate.value), "no error seen" if estimate.value == 0 else interval(METRICS["cer"], estimate)


def largest(groups: Sequence[Group], most: int) -> tuple[Sequence[Group], int]:
    """The groups of the most pictures, and how many others there are; where there are few, all in their own order."""
    if len(groups) <= most:
        return groups, 0
    return sorted(groups, key=lambda group: -group.n)[:most], len(groups) - most


def compared(comparison: Comparison, is_short: bool = False) -> Iterator[tuple[str, ...]]:
    """Two readers' scores, a row each: its name, both values, their difference, its interval, and who is better how often."""
    for key, difference in comparison.differences.items():
        metric = METRICS[key]
        yield (
            metric.short_title if is_short else metric.title,
            metric.format(comparison.first[key]),
            metric.format(comparison.second[key]),
            metric.format_difference(difference.value),
            f"{metric.format_difference(difference.low)} … {metric.format_difference(difference.high)}",
            percent(comparison.chance(key), 1),
        )


WIDE = 100
"""Columns of a terminal that has place for everything."""
_NARROW = 80
"""Columns of one that has none for intervals of differences."""
_CONFUSIONS = 10
_CHANGES = 5
_GROUPS = 20
"""Rows of a table of groups, those of the most pictures."""
_REFUSED = (0.05, 0.2)


@dataclass(frozen=True)
class Table:
    """Rows of text below a header; the first column is for names, the others for numbers."""

    header: tuple[str, ...]
    """What the columns are."""
    rows: tuple[tuple[str, ...], ...]
    """The rows."""


def tables(evidence: Evidence, columns: int = WIDE) -> Iterator[Table]:
    """The tables, the scores first, in short words where the terminal has few columns."""
    analysis = evidence.analysis
    yield _scores(evidence, is_short=columns < WIDE)
    classes = tuple((str(c.name), f"{c.characters:,}", f"{c.edits:,}", *rate(c.cer)) for c in analysis.by_class)
    yield Table(("characters", "number", "edits", "CER", "95% interval"), classes)
    yield _groups("characters in the label", analysis.by_length)
    if len(analysis.by_source) > 1:
        yield _groups("source", analysis.by_source)
    if evidence.comparison:
        yield _compared(evidence.comparison, columns)


def lines(evidence: Evidence) -> Iterator[str]:
    """What is said below the tables."""
    analysis = evidence.analysis
    yield f"compared as: {analysis.result.normalization}"
    if common := analysis.confusions.most_common(_CONFUSIONS):
        yield "often: " + "   ".join(f"{edit} ×{count:,}" for edit, count in common)
    right = percent(analysis.result.scores.exact_match, 1)
    yield (
        f"confidence: {percent(analysis.mean_confidence, 1)} on average, {right} right; "
        f"expected calibration error {percent(analysis.ece, 1)}"
    )
    if analysis.errors_below is None:
        yield from _refusals(evidence)
    else:
        most = percent(analysis.errors_below)
        yield f"no error was seen, which says (at 95%) that fewer than {most} of such pictures have one"
    speed = evidence.speed
    threads = plural(speed.threads, "thread")
    yield (
        f"speed: {plural(round(speed.per_second), 'picture')} a second by {speed.engine} with {threads}; "
        f"one alone {speed.alone_ms:.1f} ms (slowest of twenty {speed.alone_p95_ms:.1f} ms)"
    )
    if evidence.comparison:
        yield from _differing(evidence.comparison)


def _refusals(evidence: Evidence) -> Iterator[str]:
    """What refusing the least sure would gain."""
    for share in _REFUSED:
        left = evidence.analysis.risk_coverage.at(share)
        yield (
            f"refuse the {share:.0%} least sure (below {percent(left.confidence, 1)}): "
            f"CER is {percent(left.cer)}, exact match {percent(left.exact)}"
        )


def _scores(evidence: Evidence, is_short: bool) -> Table:
    rows = []
    for key, estimate in evidence.analysis.scores.items():
        metric = METRICS[key]
        title = metric.short_title if is_short else metric.title
        where = "no error seen" if estimate.value == metric.best else interval(metric, estimate)
        rows.append((title, metric.format(estimate.value), where))
    return Table((plural(evidence.analysis.result.scores.n, "picture"), "", "95% interval"), tuple(rows))


def _groups(title: str, groups: Sequence[Group]) -> Table:
    shown_groups, others = largest(groups, _GROUPS)
    rows: list[tuple[str, ...]] = [
        (printable_name(each.name), f"{each.n:,}", *rate(each.cer), percent(each.exact.value)) for each in shown_groups
    ]
    if others:
        rows.append((f"and {others:,} more (--json, --report)", *[""] * 4))
    return Table((title, "pictures", "CER", "95% interval", "exact"), tuple(rows))


def _compared(comparison: Comparison, columns: int) -> Table:
    """Two readers' scores; without who is better how often, and then without the interval, where there is no place for them."""
    first, second = comparison.first_name, comparison.second_name
    header = ("", first, second, "difference, points", "95% interval", f"{first} better")
    kept = 6 if columns >= WIDE else 5 if columns >= _NARROW else 4
    return Table(header[:kept], tuple(row[:kept] for row in compared(comparison, is_short=columns < WIDE)))


def _differing(comparison: Comparison) -> Iterator[str]:
    yield comparison.verdict
    yield (
        f"without an error: {comparison.only_first:,} by {comparison.first_name} only, "
        f"{comparison.only_second:,} by {comparison.second_name} only (McNemar p = {comparison.p_exact:.2g})"
    )
    for word, changes in (("better", comparison.better), ("worse", comparison.worse)):
        if changes:
            yield f"{comparison.first_name} reads {plural(len(changes), 'picture')} {word}:"
            yield from (_change(change, comparison) for change in changes[:_CHANGES])
        if len(changes) > _CHANGES:
            yield f"  … and {len(changes) - _CHANGES:,} more (--report, --tsv)"


def _change(change: Change, comparison: Comparison) -> str:
    readings = f"{comparison.first_name} {change.first.reading!r}  {comparison.second_name} {change.second.reading!r}"
    return f"  {printable_name(change.first.sample.name)}  label {change.first.truth!r}  {readings}"
