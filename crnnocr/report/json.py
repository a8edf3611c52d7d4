"""An evaluation as JSON and as TSV, for programs and spreadsheets. A key or column keeps its name for good."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crnnocr.evaluation.analysis import Analysis, ClassScore, Group
from crnnocr.evaluation.comparison import Change, Comparison
from crnnocr.evaluation.evaluate import Evaluation, Speed
from crnnocr.evaluation.outcomes import Outcome
from crnnocr.formatting import printable_name, tsv_cell
from crnnocr.metrics.bootstrap import Estimate
from crnnocr.metrics.calibration import Bin, Rejection
from crnnocr.metrics.confusions import CharacterScore

_DIGITS = 6
_COLUMNS = ("path", "truth", "reading", "confidence", "edits", "characters", "exact", "width", "height", "source")
_OTHER_COLUMNS = ("other_reading", "other_confidence", "other_edits")


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Give everything about an evaluation except its single samples, as values that JSON can hold."""
    analysis = evaluation.analysis
    result = analysis.result
    return {
        **result.scores.to_json(),
        "model": evaluation.model,
        "unreadable": len(result.unreadable),
        "data": [printable_name(name) for name in evaluation.data],
        "trained_on": evaluation.trained_on,
        "normalise": str(result.normalization),
        "intervals": {key: _interval(estimate) for key, estimate in analysis.scores.items()},
        "errors_below": None if analysis.errors_below is None else _rounded(analysis.errors_below),
        "by_length": [_group(group) for group in analysis.by_length],
        "by_width": [_group(group) for group in analysis.by_width],
        "by_source": [_group(group) for group in analysis.by_source],
        "by_class": [_class(each) for each in analysis.by_class],
        "characters": [_character(each) for each in analysis.confusions.characters()],
        "confusions": [
            {"truth": edit.reference, "reading": edit.prediction, "count": count}
            for edit, count in analysis.confusions.most_common()
        ],
        "calibration": _calibration(analysis),
        "speed": _speed(evaluation.speed),
        "compare": _comparison(evaluation.comparison) if evaluation.comparison else None,
    }


def tsv(evaluation: Evaluation) -> Iterator[str]:
    r"""Yield a header, then a line for each sample; backslash, tab, line ends and other controls are escaped.

    `truth` and `reading` are the normalized texts that were compared. If there is a comparison, the other system's follow.
    """
    comparison = evaluation.comparison
    others = {change.first.sample: change.second for change in comparison.changes} if comparison else {}
    yield "\t".join(_COLUMNS + _OTHER_COLUMNS if comparison else _COLUMNS)
    for outcome in evaluation.analysis.outcomes:
        values = [outcome.sample.name, outcome.reference, *_prediction(outcome), str(outcome.counts.characters)]
        values += [str(int(outcome.is_correct)), *map(str, outcome.prediction.size)]
        values.append(evaluation.analysis.sources.get(outcome.sample, "."))
        if comparison:
            values += _prediction(others.get(outcome.sample, outcome))
        yield "\t".join(map(tsv_cell, values))


def _prediction(outcome: Outcome) -> list[str]:
    return [outcome.predicted, f"{outcome.prediction.confidence:.6f}", str(outcome.counts.edits)]


def _group(group: Group) -> dict[str, Any]:
    return {
        "name": printable_name(group.name),
        "n": group.n,
        "characters": group.characters,
        "edits": group.edits,
        **_error_rate(group.cer),
        "exact": _rounded(group.exact_match.value),
        "exact_interval": _interval(group.exact_match),
    }


def _class(score: ClassScore) -> dict[str, Any]:
    return {"name": str(score.name), "characters": score.characters, "edits": score.edits, **_error_rate(score.cer)}


def _character(score: CharacterScore) -> dict[str, Any]:
    return {
        "character": score.character,
        "truths": score.references,
        "readings": score.predictions,
        "right": score.correct,
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
    }


def _calibration(analysis: Analysis) -> dict[str, Any]:
    return {
        "ece": _rounded(analysis.ece),
        "ece_equal_mass": _rounded(analysis.ece_equal_mass),
        "brier": _rounded(analysis.brier),
        "mean_confidence": _rounded(analysis.mean_confidence),
        "reliability": [_bin(each) for each in analysis.reliability],
        "aurc": _rounded(analysis.risk_coverage.area()),
        "risk_coverage": [_rejection(each) for each in analysis.risk_coverage.table()],
    }


def _bin(each: Bin) -> dict[str, Any]:
    return {"n": each.n, "confidence": each.confidence, "right": each.accuracy, "low": each.low, "high": each.high}


def _rejection(each: Rejection) -> dict[str, Any]:
    return {"refused": each.rejected, "confidence": each.threshold, "cer": each.cer, "exact": each.exact_match}


def _speed(speed: Speed) -> dict[str, Any]:
    return {
        "engine": speed.engine,
        "threads": speed.threads,
        "pictures": speed.images,
        "seconds": speed.seconds,
        "alone_ms": speed.latency_ms,
        "alone_p95_ms": speed.latency_p95_ms,
        "per_second": _rounded(speed.images_per_second),
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "first": comparison.first_name,
        "second": comparison.second_name,
        "n": comparison.n,
        "scores": {"first": comparison.first.to_json(), "second": comparison.second.to_json()},
        "differences": {
            key: {
                "value": _rounded(difference.value),
                "interval": _interval(difference),
                "is_sure": difference.is_significant,
                "first_better": _rounded(comparison.probability_of_improvement(key)),
            }
            for key, difference in comparison.differences.items()
        },
        "only_first_exact": comparison.only_first,
        "only_second_exact": comparison.only_second,
        "p_exact": comparison.mcnemar_p,
        "winner": comparison.winner,
        "verdict": comparison.verdict,
        "better": [_change(change) for change in comparison.better],
        "worse": [_change(change) for change in comparison.worse],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "path": printable_name(change.first.sample.name),
        "text": change.first.reference,
        "first": change.first.predicted,
        "second": change.second.predicted,
        "edits": change.edits,
    }


def _error_rate(estimate: Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return {"cer": None, "cer_interval": None}
    return {"cer": _rounded(estimate.value), "cer_interval": _interval(estimate)}


def _interval(estimate: Estimate) -> list[float]:
    return [_rounded(estimate.low), _rounded(estimate.high)]


def _rounded(number: float) -> float:
    return round(number, _DIGITS)
