"""An evaluation's result as rows for people and as JSON for machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from crnnocr.evaluation import EvalResult
from crnnocr.metrics import Scores


def rows(scores: Scores) -> list[tuple[str, str]]:
    """Name and value of each score, for a table."""
    return [
        ("pictures", f"{scores.n:,}"),
        ("mean Levenshtein distance", f"{scores.mean_levenshtein:.3f}"),
        ("character error rate (CER)", f"{scores.cer:.2%}"),
        ("word error rate (WER)", f"{scores.wer:.2%}"),
        ("exact match", f"{scores.exact:.2%}"),
        ("1 - NED", f"{scores.one_minus_ned:.2%}"),
        ("alphanumeric, any case", f"{scores.alnum_accuracy:.2%}"),
    ]


def to_json(result: EvalResult, model: str) -> dict[str, Any]:
    """The result as plain JSON values: the scores by their names, `model`, and `unreadable` pictures."""
    return {**asdict(result.scores), "model": model, "unreadable": len(result.unreadable)}
