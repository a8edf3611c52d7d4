"""Share of wrong labels that `eval --suspect-labels` finds: labels are made wrong on purpose.

    python benchmarks/suspects.py --model MODEL DATA

One label in twenty becomes that of another image, or has a character replaced or removed. Prints for several orders the share
of these among as many samples at the top of the list.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from crnnocr.config import DecodeConfig, ReadConfig
from crnnocr.datasets import Sample
from crnnocr.datasets.detection import load_dataset
from crnnocr.evaluation.label_errors import LabelError, find_label_errors
from crnnocr.evaluation.outcomes import predict_samples, score_samples
from crnnocr.inference.recognizer import Recognizer
from crnnocr.text.normalization import Normalization

SHARE = 0.05
SEEDS = 4


def confidence(error: LabelError) -> float:
    return error.outcome.prediction.confidence


def log_ratio(error: LabelError) -> float:
    return error.predicted_log_prob - error.label_log_prob


ORDERS: dict[str, Callable[[LabelError], float]] = {
    "suspicion": lambda error: error.suspicion,
    "log-ratio alone": log_ratio,
    "confidence alone": confidence,
    "margin": lambda error: confidence(error) * -float(np.expm1(-max(0.0, log_ratio(error)))),
}


def corrupted(samples: list[Sample], rng: random.Random) -> tuple[list[Sample], set[Sample]]:
    """Make some labels wrong. Returns all samples, and those with wrong labels."""
    characters = sorted(set("".join(sample.text for sample in samples)))
    chosen = set(rng.sample(range(len(samples)), round(SHARE * len(samples))))
    labeled = [
        Sample(sample.path, corrupted_text(sample.text, samples, characters, rng) if i in chosen else sample.text, sample.entry)
        for i, sample in enumerate(samples)
    ]
    return labeled, {labeled[i] for i in chosen if labeled[i].text != samples[i].text}


def corrupted_text(text: str, samples: list[Sample], characters: list[str], rng: random.Random) -> str:
    index, kind = rng.randrange(len(text)), rng.randrange(3)
    if kind == 0:
        return rng.choice(samples).text
    inserted = rng.choice(characters) if kind == 1 else ""
    return (text[:index] + inserted + text[index + 1 :]).strip() or text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--normalise", default="nfkc,case,spaces,quotes")
    options = parser.parse_args()
    recognizer = Recognizer.load(options.model, "cpu")
    samples = list(load_dataset(options.data).samples)
    predictions = {sample.path: prediction for sample, prediction in predict_samples(recognizer, samples, DecodeConfig())}
    shares: dict[str, list[float]] = {name: [] for name in ORDERS}
    for seed in range(SEEDS):
        labeled, bad = corrupted(samples, random.Random(seed))
        result = score_samples(
            [(sample, predictions[sample.path]) for sample in labeled], Normalization.parse([options.normalise])
        )
        found = find_label_errors(recognizer, result.outcomes, ReadConfig()).found
        for name, order in ORDERS.items():
            first = sorted(found, key=order, reverse=True)[: len(bad)]
            shares[name].append(sum(error.outcome.sample in bad for error in first) / len(bad))
    for name, values in shares.items():
        print(f"{name:<18} {np.mean(values):.0%} of the wrong labels among the first as many")


if __name__ == "__main__":
    main()
