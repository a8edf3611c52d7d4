"""An evaluation's result as tables and lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crnnocr.bootstrap import Estimate
from crnnocr.evaluation.analysis import Group
from crnnocr.evaluation.comparison import Change, Comparison
from crnnocr.report.evidence import Evidence
from crnnocr.report.figures import NAMES, interval, percent, signed, value
from crnnocr.report.names import shown

_CONFUSIONS = 10
_CHANGES = 5
_REFUSED = (0.05, 0.2)


@dataclass(frozen=True)
class Table:
    """Rows of text below a header; the first column is for names, the others for numbers."""

    header: tuple[str, ...]
    """What the columns are."""
    rows: tuple[tuple[str, ...], ...]
    """The rows."""


def tables(evidence: Evidence) -> Iterator[Table]:
    """The tables, the scores first."""
    analysis = evidence.analysis
    head = (f"{analysis.result.scores.n:,} pictures", "", "95% interval")
    yield Table(head, tuple((NAMES[name], value(name, e.value), interval(name, e)) for name, e in analysis.scores.items()))
    classes = tuple((str(c.name), f"{c.characters:,}", *_rate(c.cer)) for c in analysis.by_class)
    yield Table(("characters", "number", "CER", "95% interval"), classes)
    yield _groups("characters in the label", analysis.by_length)
    if len(analysis.by_source) > 1:
        yield _groups("source", analysis.by_source)
    if evidence.comparison:
        yield _compared(evidence.comparison)


def lines(evidence: Evidence) -> Iterator[str]:
    """What is said below the tables."""
    analysis = evidence.analysis
    yield f"compared as: {analysis.result.normalisation}"
    if common := analysis.confusions.most_common(_CONFUSIONS):
        yield "often: " + "   ".join(f"{edit} ×{count:,}" for edit, count in common)
    yield (
        f"confidence: {percent(analysis.mean_confidence, 1)} on average, {percent(analysis.result.scores.exact, 1)} right; "
        f"expected calibration error {percent(analysis.ece, 1)}"
    )
    if analysis.result.scores.cer:
        yield from _refusals(evidence)
    else:
        most = percent(rule_of_three(analysis.result.scores.n))
        yield f"no error was seen, which says (at 95%) that fewer than {most} of such pictures have one"
    speed = evidence.speed
    threads = f"{speed.threads} thread{'' if speed.threads == 1 else 's'}"
    yield (
        f"speed: {speed.per_second:,.0f} pictures a second by {speed.engine} with {threads}; "
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
            f"CER falls to {percent(left.cer)}, exact match is {percent(left.exact)}"
        )


def rule_of_three(n: int) -> float:
    """The share of pictures with errors that would, one time in twenty, show none in `n` (Hanley and Lippman-Hand 1983)."""
    return float(1 - 0.05 ** (1 / n))


def _groups(title: str, groups: Sequence[Group]) -> Table:
    rows = tuple((shown(group.name), f"{group.n:,}", *_rate(group.cer), value("exact", group.exact.value)) for group in groups)
    return Table((title, "pictures", "CER", "95% interval", "exact"), rows)


def _rate(estimate: Estimate) -> tuple[str, str]:
    return value("cer", estimate.value), interval("cer", estimate)


def _compared(comparison: Comparison) -> Table:
    rows = tuple(
        (
            NAMES[name],
            value(name, getattr(comparison.first, name)),
            value(name, getattr(comparison.second, name)),
            signed(name, difference.value),
            f"{signed(name, difference.low)} … {signed(name, difference.high)}",
            percent(comparison.chance(name), 1),
        )
        for name, difference in comparison.differences.items()
    )
    names = comparison.first_name, comparison.second_name
    return Table(("", *names, "difference, points", "95% interval", f"{names[0]} better"), rows)


def _differing(comparison: Comparison) -> Iterator[str]:
    yield comparison.verdict
    yield (
        f"without an error: {comparison.only_first:,} by {comparison.first_name} only, "
        f"{comparison.only_second:,} by {comparison.second_name} only (McNemar p = {comparison.p_exact:.2g})"
    )
    for word, changes in (("better", comparison.better), ("worse", comparison.worse)):
        if changes:
            yield f"{comparison.first_name} reads {len(changes):,} {word}:"
            yield from map(_change, changes[:_CHANGES])


def _change(change: Change) -> str:
    texts = f"{change.first.truth!r}: {change.first.reading!r}, not {change.second.reading!r}"
    return f"  {shown(change.first.sample.path.name)}  {texts}"
