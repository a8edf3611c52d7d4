"""An evaluation as text: numbers with their intervals, tables, and the lines below them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crnnocr.evaluation.analysis import Analysis, Group
from crnnocr.evaluation.comparison import Change, Comparison
from crnnocr.evaluation.evaluate import Evaluation, Speed
from crnnocr.formatting import plural, printable_name
from crnnocr.metrics.bootstrap import Estimate
from crnnocr.metrics.scores import METRICS, Metric

WIDE = 100
"""Columns of a terminal that has room for everything."""
_NARROW = 80
"""Columns of a terminal that has room for all but one column of a comparison."""
_MAX_EDITS = 10
_MAX_CHANGES = 5
_MAX_GROUPS = 20
_REJECTED = (0.05, 0.2)

_NO_ERROR = "no error seen"


@dataclass(frozen=True)
class Table:
    """Rows of text below a header; the first column holds names, the others numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(evaluation: Evaluation, columns: int = WIDE) -> Iterator[Table]:
    """Yield the tables, the scores first, with short titles and fewer columns for a narrow terminal."""
    analysis, comparison = evaluation.analysis, evaluation.comparison
    yield _score_table(analysis, is_short=columns < WIDE)
    classes = tuple((str(c.name), f"{c.characters:,}", f"{c.edits:,}", *error_rate(c.cer)) for c in analysis.by_class)
    yield Table(("characters", "number", "edits", "CER", "95% interval"), classes)
    yield _group_table("characters in the label", analysis.by_length)
    if len(analysis.by_source) > 1:
        yield _group_table("source", analysis.by_source)
    if comparison:
        first, second = comparison.first_name, comparison.second_name
        header = ("", first, second, "difference, points", "95% interval", f"{first} better")
        kept = 6 if columns >= WIDE else 5 if columns >= _NARROW else 4
        rows = comparison_rows(comparison, is_short=columns < WIDE)
        yield Table(header[:kept], tuple(row[:kept] for row in rows))


def lines(evaluation: Evaluation) -> Iterator[str]:
    """Yield the lines below the tables."""
    analysis = evaluation.analysis
    yield f"compared as: {analysis.result.normalization}"
    if common := analysis.confusions.most_common(_MAX_EDITS):
        yield "most frequent edits: " + "   ".join(f"{edit} ×{count:,}" for edit, count in common)
    yield (
        f"confidence: {percent(analysis.mean_confidence, 1)} on average, "
        f"{percent(analysis.result.scores.exact_match, 1)} exact matches; "
        f"expected calibration error {percent(analysis.ece, 1)}"
    )
    if analysis.errors_below is None:
        yield from _rejections(analysis)
    else:
        yield f"no error seen: at 95% confidence, fewer than {percent(analysis.errors_below)} of such images have one"
    yield _speed(evaluation.speed)
    if evaluation.comparison:
        yield from _comparison_lines(evaluation.comparison)


def percent(number: float, digits: int = 2) -> str:
    """Write a share: `12.34%`."""
    return f"{number:.{digits}%}"


def interval(metric: Metric, estimate: Estimate, perfect: str = _NO_ERROR) -> str:
    """Write the interval of a metric, or `perfect` if it has its best value: the interval is a point then."""
    if estimate.value == metric.best:
        return perfect
    return f"{metric.format(estimate.low)} – {metric.format(estimate.high)}"


def error_rate(cer: Estimate | None) -> tuple[str, str]:
    """Write a character error rate and its interval; dashes if there are no characters."""
    if cer is None:
        return "–", "–"
    return percent(cer.value), interval(METRICS["cer"], cer)


def largest(groups: Sequence[Group], limit: int) -> tuple[Sequence[Group], int]:
    """Keep the groups of the most samples, and count the others; up to the limit, keep all in their own order."""
    if len(groups) <= limit:
        return groups, 0
    return sorted(groups, key=lambda group: -group.n)[:limit], len(groups) - limit


def comparison_rows(comparison: Comparison, is_short: bool = False) -> Iterator[tuple[str, ...]]:
    """Yield for each metric its title, both values, their difference, its interval, and the probability of improvement."""
    for key, difference in comparison.differences.items():
        metric = METRICS[key]
        yield (
            metric.short_title if is_short else metric.title,
            metric.format(comparison.first[key]),
            metric.format(comparison.second[key]),
            metric.format_difference(difference.value),
            f"{metric.format_difference(difference.low)} … {metric.format_difference(difference.high)}",
            percent(comparison.probability_of_improvement(key), 1),
        )


def _score_table(analysis: Analysis, is_short: bool) -> Table:
    rows = []
    for key, estimate in analysis.scores.items():
        metric = METRICS[key]
        title = metric.short_title if is_short else metric.title
        rows.append((title, metric.format(estimate.value), interval(metric, estimate)))
    return Table((plural(analysis.result.scores.n, "image"), "", "95% interval"), tuple(rows))


def _group_table(title: str, groups: Sequence[Group]) -> Table:
    kept, others = largest(groups, _MAX_GROUPS)
    rows: list[tuple[str, ...]] = [
        (printable_name(each.name), f"{each.n:,}", *error_rate(each.cer), percent(each.exact_match.value)) for each in kept
    ]
    if others:
        rows.append((f"and {others:,} more, in the JSON and the page", *[""] * 4))
    return Table((title, "images", "CER", "95% interval", "exact match"), tuple(rows))


def _rejections(analysis: Analysis) -> Iterator[str]:
    for share in _REJECTED:
        kept = analysis.risk_coverage.at(share)
        yield (
            f"reject the {share:.0%} least confident (below {percent(kept.threshold, 1)}): "
            f"CER is {percent(kept.cer)}, exact match {percent(kept.exact_match)}"
        )


def _speed(speed: Speed) -> str:
    threads = plural(speed.threads, "thread")
    return (
        f"speed: {plural(round(speed.images_per_second), 'image')} per second by {speed.engine} with {threads}; "
        f"a single image {speed.latency_ms:.1f} ms (95th percentile {speed.latency_p95_ms:.1f} ms)"
    )


def _comparison_lines(comparison: Comparison) -> Iterator[str]:
    yield comparison.verdict
    yield (
        f"exact matches: {comparison.only_first:,} by {comparison.first_name} only, "
        f"{comparison.only_second:,} by {comparison.second_name} only (McNemar p = {comparison.mcnemar_p:.2g})"
    )
    for word, changes in (("better", comparison.better), ("worse", comparison.worse)):
        if changes:
            yield f"{comparison.first_name} is {word} on {plural(len(changes), 'image')}:"
            yield from (_change(change, comparison) for change in changes[:_MAX_CHANGES])
        if len(changes) > _MAX_CHANGES:
            yield f"  … and {len(changes) - _MAX_CHANGES:,} more, in the page of a report and in TSV rows"


def _change(change: Change, comparison: Comparison) -> str:
    first, second = change.first.predicted, change.second.predicted
    predictions = f"{comparison.first_name} {first!r}  {comparison.second_name} {second!r}"
    return f"  {printable_name(change.first.sample.name)}  label {change.first.reference!r}  {predictions}"
