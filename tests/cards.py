"""A card with all that a training writes into it."""

from __future__ import annotations

from pathlib import Path

from crnnocr.metrics.scores import Scores
from crnnocr.model import checkpoint
from crnnocr.model.card import Card, DataSource, TextStatistics, TrainingData, TrainingRecord, Versions

RECORD = TrainingRecord(
    date="2024-05-06T07:08:09+00:00",
    data=TrainingData((DataSource("crops", "csv", 100),), 90, 10, "5a5a", TextStatistics(500, 5.6, 9, 80.5, 77)),
    start="en",
    config={"synth": "en:clean", "seed": 7},
    batch_size=16,
    steps=1300,
    pictures_shown=12_345,
    seconds=120.0,
    device="cpu",
    threads=2,
    versions=Versions("9.8.7", "2.9", "2.3", "3.12"),
)
SCORES = Scores(
    1234,
    {"mean_levenshtein": 0.3, "cer": 0.0123, "wer": 0.1, "exact": 0.9, "one_minus_ned": 0.95, "alnum_accuracy": 0.92},
)


def trained_card(path: Path) -> tuple[Card, TrainingRecord]:
    """The card of a trained model, and what it says about the training."""
    card = checkpoint.load_card(path)
    assert card.training
    return card, card.training
