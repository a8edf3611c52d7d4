"""Labels made wrong on purpose: how many of them `eval --suspect-labels` lists first.

    python benchmarks/suspects.py --model MODEL DATA

One label in twenty becomes another picture's, or has a character replaced, or one taken out. Printed is the share of these
among as many samples as there are, for several orders.
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
from crnnocr.evaluation.label_errors import Suspect, suspects
from crnnocr.evaluation.outcomes import read_samples, score
from crnnocr.inference.recognizer import Recognizer
from crnnocr.text.normalization import Normalization

SHARE = 0.05
SEEDS = 4


def confidence(suspect: Suspect) -> float:
    return suspect.outcome.prediction.confidence


def ratio(suspect: Suspect) -> float:
    return suspect.reading_log_prob - suspect.label_log_prob


ORDERS: dict[str, Callable[[Suspect], float]] = {
    "doubt": lambda suspect: suspect.doubt,
    "log-ratio alone": ratio,
    "confidence alone": confidence,
    "margin": lambda suspect: confidence(suspect) * -float(np.expm1(-max(0.0, ratio(suspect)))),
}


def made_wrong(samples: list[Sample], chance: random.Random) -> tuple[list[Sample], set[Sample]]:
    """The samples with some labels made wrong, and these."""
    characters = sorted(set("".join(sample.text for sample in samples)))
    chosen = set(chance.sample(range(len(samples)), round(SHARE * len(samples))))
    labelled = [
        Sample(sample.path, wrong(sample.text, samples, characters, chance) if i in chosen else sample.text, sample.entry)
        for i, sample in enumerate(samples)
    ]
    return labelled, {labelled[i] for i in chosen if labelled[i].text != samples[i].text}


def wrong(text: str, samples: list[Sample], characters: list[str], chance: random.Random) -> str:
    place, kind = chance.randrange(len(text)), chance.randrange(3)
    if kind == 0:
        return chance.choice(samples).text
    put_in = chance.choice(characters) if kind == 1 else ""
    return (text[:place] + put_in + text[place + 1 :]).strip() or text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--normalise", default="nfkc,case,spaces,quotes")
    options = parser.parse_args()
    recognizer = Recognizer.load(options.model, "cpu")
    samples = list(load_dataset(options.data).samples)
    readings = {sample.path: prediction for sample, prediction in read_samples(recognizer, samples, DecodeConfig())}
    shares: dict[str, list[float]] = {name: [] for name in ORDERS}
    for seed in range(SEEDS):
        labelled, bad = made_wrong(samples, random.Random(seed))
        result = score([(sample, readings[sample.path]) for sample in labelled], Normalization.parse([options.normalise]))
        found = suspects(recognizer, result.outcomes, ReadConfig()).found
        for name, order in ORDERS.items():
            first = sorted(found, key=order, reverse=True)[: len(bad)]
            shares[name].append(sum(suspect.outcome.sample in bad for suspect in first) / len(bad))
    for name, values in shares.items():
        print(f"{name:<18} {np.mean(values):.0%} of the wrong labels among the first as many")


if __name__ == "__main__":
    main()
