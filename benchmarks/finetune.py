"""Learning from one's own crops: from a start model, and from scratch, on as many of them as are given.

A folder of crops holds images and a label file that crnnocr reads. The images to train on are chosen by
their content, so that a smaller set is a part of a larger one. Texts are compared without case and spaces (ci-ns).

    python benchmarks/finetune.py --start MODEL --learn receipts_train --measure receipts --sizes 500 2000 4000
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from crnnocr import runtime
from crnnocr.config import SCRATCH, DecodeConfig, TrainConfig
from crnnocr.datasets import Dataset
from crnnocr.datasets.detection import load_dataset
from crnnocr.datasets.lines import content_id
from crnnocr.evaluation.outcomes import predict_samples
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.calibration import expected_calibration_error
from crnnocr.metrics.scores import Scorer
from crnnocr.training.finalize import Finished
from crnnocr.training.prepare import inspect, prepare
from crnnocr.training.run import run
from crnnocr.training.stages import Order


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", required=True, help="the start model: a name or a path")
    parser.add_argument("--learn", type=Path, required=True, help="crops to train on")
    parser.add_argument("--measure", type=Path, required=True, help="other crops to measure with")
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 2000, 4000], help="how many to train on")
    parser.add_argument("--presentations", type=int, default=TrainConfig.total_samples, help="samples seen in each training")
    parser.add_argument("--rate", type=float, default=TrainConfig.learning_rate, help="highest learning rate")
    parser.add_argument("--from", dest="origins", nargs="+", default=["start", SCRATCH], help="start, scratch or both")
    parser.add_argument("--out", type=Path, default=Path(".work/finetune.jsonl"), help="where results are added")
    options = parser.parse_args()
    runtime.prepare_to_train()
    learn, measure = load_dataset(options.learn), load_dataset(options.measure)
    report(options.out, {"size": 0, "from": "start", **measured(Recognizer.load(options.start), measure)})
    for size in options.sizes:
        for origin in options.origins:
            start = options.start if origin == "start" else SCRATCH
            config = TrainConfig(start=start, preset=None, steps=-(-options.presentations // 16), learning_rate=options.rate)
            recognizer = trained(part(learn, size), config)
            report(options.out, {"size": size, "from": origin, "rate": options.rate, **measured(recognizer, measure)})


def part(dataset: Dataset, size: int) -> Dataset:
    """The first `size` samples by the content of their images."""
    ordered = sorted(dataset.samples, key=lambda sample: content_id(b"part" + sample.read()))
    return replace(dataset, samples=tuple(ordered[:size]))


def trained(dataset: Dataset, config: TrainConfig) -> Recognizer:
    """Results of a training on the data."""
    with tempfile.TemporaryDirectory() as store:
        os.environ["CRNNOCR_DATA_DIR"] = store
        prepared = prepare(inspect((dataset,), (), config), config, "finetune")
        for event in run(Order(prepared, config, (dataset,))):
            if isinstance(event, Finished):
                finished = event
        return Recognizer.load(str(finished.path))


def measured(recognizer: Recognizer, dataset: Dataset) -> dict[str, float]:
    """Scores without case and spaces, and how well confidences predict an exact match, with and without these."""
    scorer, confidences, exact, bare = Scorer(), [], [], []
    for sample, prediction in predict_samples(recognizer, dataset.samples, DecodeConfig()):
        reference, text = ("".join(text.casefold().split()) for text in (sample.text, prediction.text))
        scorer.update(reference, text)
        confidences.append(prediction.confidence)
        exact.append(sample.text == prediction.text)
        bare.append(reference == text)
    scores = scorer.summary()
    return {
        "CER ci-ns": scores.cer,
        "exact ci-ns": scores.exact_match,
        "exact": sum(exact) / len(exact),
        "ECE ci-ns": expected_calibration_error(confidences, bare),
        "ECE exact": expected_calibration_error(confidences, exact),
    }


def report(out: Path, result: dict[str, object]) -> None:
    print(json.dumps(result), flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
