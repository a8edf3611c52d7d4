"""Evaluations made by hand, for tests of what is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crnnocr.datasets import Sample
from crnnocr.evaluation.analysis import Analysis
from crnnocr.evaluation.evaluate import Evidence
from crnnocr.evaluation.outcomes import EvalResult, Outcome, Speed, score
from crnnocr.inference.recognizer import Prediction
from crnnocr.report.samples import Rows, rows_of

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&amp;{{ 7*7 }}\u202e\u2028x"
"""What a label or a file could be called to break out of a page."""


def outcome(truth: str, reading: str, confidence: float = 0.9, name: str = "x.png") -> Outcome:
    result = score([(Sample(Path(name), truth), Prediction(reading, confidence, size=(100, 32)))])
    return result.outcomes[0]


def result_of(outcomes: Sequence[Outcome]) -> EvalResult:
    return score((each.sample, each.prediction) for each in outcomes)


def evidence_of(result: EvalResult, sources: Mapping[Sample, str] | None = None, **more: Any) -> Evidence:
    speed = Speed("columns", 1, result.scores.n, 1.0, 2.0, 3.0)
    evidence = Evidence(("model",), ("data",), ("imagefolder",), "", Analysis(result, sources), speed)
    return replace(evidence, **more)


def plain(outcomes: Sequence[Outcome]) -> Rows:
    """Rows without pictures, which need no model."""
    return rows_of(evidence_of(result_of(outcomes)))
