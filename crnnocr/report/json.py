"""An evaluation's result as plain JSON values. A key keeps its name for good.

A row for each picture of an evaluation, for spreadsheets and shells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from crnnocr.evaluation.analysis import Group
from crnnocr.evaluation.comparison import Change, Comparison
from crnnocr.evaluation.evaluate import Evidence
from crnnocr.evaluation.outcomes import Outcome
from crnnocr.formatting import printable_name
from crnnocr.metrics.bootstrap import Estimate
from crnnocr.metrics.confusions import CharacterScore

_DIGITS = 6


def to_json(evidence: Evidence) -> dict[str, Any]:
    """The result: the scores by their names, their intervals, and all that a report tells of but the single pictures."""
    analysis = evidence.analysis
    result = analysis.result
    return {
        **result.scores.to_json(),
        "model": evidence.model,
        "unreadable": len(result.unreadable),
        "data": [printable_name(name) for name in evidence.data],
        "trained_on": evidence.trained_on,
        "normalise": str(result.normalization),
        "intervals": {name: _interval(estimate) for name, estimate in analysis.scores.items()},
        "errors_below": None if analysis.errors_below is None else _rounded(analysis.errors_below),
        "by_length": [_group(group) for group in analysis.by_length],
        "by_width": [_group(group) for group in analysis.by_width],
        "by_source": [_group(group) for group in analysis.by_source],
        "by_class": [
            {
                "name": str(each.name),
                "characters": each.characters,
                "edits": each.edits,
                **_rate(each.cer),
            }
            for each in analysis.by_class
        ],
        "characters": [_character(each) for each in analysis.confusions.characters()],
        "confusions": [
            {"truth": edit.truth, "reading": edit.reading, "count": count} for edit, count in analysis.confusions.most_common()
        ],
        "calibration": {
            "ece": _rounded(analysis.ece),
            "ece_equal_mass": _rounded(analysis.ece_equal_mass),
            "brier": _rounded(analysis.brier),
            "mean_confidence": _rounded(analysis.mean_confidence),
            "reliability": [asdict(each) for each in analysis.reliability],
            "aurc": _rounded(analysis.risk_coverage.area()),
            "risk_coverage": [asdict(each) for each in analysis.risk_coverage.table()],
        },
        "speed": {**asdict(evidence.speed), "per_second": _rounded(evidence.speed.per_second)},
        "compare": _comparison(evidence.comparison) if evidence.comparison else None,
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "first": comparison.first_name,
        "second": comparison.second_name,
        "n": comparison.n,
        "scores": {"first": comparison.first.to_json(), "second": comparison.second.to_json()},
        "differences": {
            name: {
                "value": _rounded(difference.value),
                "interval": _interval(difference),
                "is_sure": difference.is_sure,
                "first_better": _rounded(comparison.chance(name)),
            }
            for name, difference in comparison.differences.items()
        },
        "only_first_exact": comparison.only_first,
        "only_second_exact": comparison.only_second,
        "p_exact": comparison.p_exact,
        "winner": comparison.winner,
        "verdict": comparison.verdict,
        "better": [_change(change) for change in comparison.better],
        "worse": [_change(change) for change in comparison.worse],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "path": printable_name(change.first.sample.name),
        "text": change.first.truth,
        "first": change.first.reading,
        "second": change.second.reading,
        "edits": change.edits,
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "name": printable_name(group.name),
        "n": group.n,
        "characters": group.characters,
        "edits": group.edits,
        **_rate(group.cer),
        "exact": _rounded(group.exact.value),
        "exact_interval": _interval(group.exact),
    }


def _rate(estimate: Estimate | None) -> dict[str, Any]:
    """An error rate and its interval; null where there is nothing to divide by."""
    if estimate is None:
        return {"cer": None, "cer_interval": None}
    return {"cer": _rounded(estimate.value), "cer_interval": _interval(estimate)}


def _character(score: CharacterScore) -> dict[str, Any]:
    return {**asdict(score), "precision": score.precision, "recall": score.recall, "f1": score.f1}


def _interval(estimate: Estimate) -> list[float]:
    return [_rounded(estimate.low), _rounded(estimate.high)]


def _rounded(number: float) -> float:
    return round(number, _DIGITS)


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def tsv(evidence: Evidence) -> Iterator[str]:
    r"""A header, then a line for each picture; backslash, tab and line ends stand as `\\`, `\t`, `\n`, `\r`.

    `truth` and `reading` are as they were compared. With another reader, what that one read follows.
    """
    others = {change.first.sample: change.second for change in evidence.comparison.changes} if evidence.comparison else {}
    columns = ["path", "truth", "reading", "confidence", "edits", "characters", "exact", "width", "height", "source"]
    yield "\t".join(columns + (["other_reading", "other_confidence", "other_edits"] if evidence.comparison else []))
    for outcome in evidence.analysis.outcomes:
        values = [outcome.sample.name, outcome.truth, *_read(outcome), str(outcome.counts.characters)]
        values += [str(int(outcome.is_right)), *map(str, outcome.prediction.size)]
        values.append(evidence.analysis.sources.get(outcome.sample, "."))
        if evidence.comparison:
            values += _read(others.get(outcome.sample, outcome))
        yield "\t".join(value.translate(_ESCAPES) for value in values)


def _read(outcome: Outcome) -> list[str]:
    return [outcome.reading, f"{outcome.prediction.confidence:.6f}", str(outcome.counts.edits)]
