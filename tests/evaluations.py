"""Evaluations made by hand, for tests of reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crnnocr.datasets import Sample
from crnnocr.evaluation.analysis import Analysis
from crnnocr.evaluation.evaluate import Evaluation, Speed
from crnnocr.evaluation.outcomes import EvalResult, Outcome, score_samples
from crnnocr.inference.recognizer import Prediction

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&amp;{{ 7*7 }}\u202e\u2028x"
"""A label or file name that tries to break out of a page."""


def outcome(reference: str, predicted: str, confidence: float = 0.9, name: str = "x.png") -> Outcome:
    return score_samples([(Sample(Path(name), reference), Prediction(predicted, confidence, size=(100, 32)))]).outcomes[0]


def result_of(outcomes: Sequence[Outcome]) -> EvalResult:
    return score_samples((each.sample, each.prediction) for each in outcomes)


def evaluation_of(outcomes: Sequence[Outcome], sources: Mapping[Sample, str] | None = None, **more: Any) -> Evaluation:
    result = result_of(outcomes)
    speed = Speed("columns", 1, result.scores.n, 1.0, 2.0, 3.0)
    evaluation = Evaluation(("model",), ("data",), ("imagefolder",), "", Analysis(result, sources), speed)
    return replace(evaluation, **more)


def draw(path: Path, text: str) -> None:
    """An image that the recognizer of `columns` reads as `text`."""
    pixels = np.full((8, 8 * len(text) + 8), 255, np.uint8)
    for i, character in enumerate(text):
        pixels[:, 8 * i + 4 : 8 * i + 8] = 0 if character == "a" else 100
    Image.fromarray(pixels).save(path, "PNG")
