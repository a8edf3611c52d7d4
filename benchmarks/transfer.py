"""From synthetic images to real ones: train on a stream of `synth`'s images alone, and recognize folders of real crops.

Each training gets the same CPU time of one process with one thread, including the making of images, so that other work on the
machine changes nothing. A folder of real crops holds images and `labels.tsv` (`file<TAB>text`).

    python benchmarks/transfer.py --style mixed --minutes 60 --data scene_words printed_lines receipts
    python benchmarks/transfer.py --style trdg --minutes 60 --data scene_words printed_lines receipts
"""

from __future__ import annotations

import argparse
import json
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from crnnocr import runtime
from crnnocr.config import PRESETS, SCRATCH, Orientation, ReadConfig, Style, SynthConfig, TrainConfig
from crnnocr.datasets.detection import load_dataset
from crnnocr.inference.engines import TorchEngine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.scores import Scorer, alphanumeric
from crnnocr.model import checkpoint
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN
from crnnocr.synth.sampler import Sampler
from crnnocr.text.charset import Charset
from crnnocr.training.batching import BatchSampler
from crnnocr.training.loader import Loader
from crnnocr.training.schedule import Budget
from crnnocr.training.synthetic import synthetic_dataset, synthetic_lines
from crnnocr.training.trainer import Trainer
from crnnocr.training.validation import Validation

QUOTES_AND_DASHES = str.maketrans("‘’‚“”„«»‐‑–—−´`", "'''\"\"\"\"\"-----''")
VALIDATED = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", type=Style, default=Style.MIXED, help="style of the synthetic images")
    parser.add_argument("--minutes", type=float, default=60.0, help="CPU time of the training, including the images")
    parser.add_argument("--preset", choices=PRESETS, default="small", help="network")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, nargs="+", default=[], help="folders of real crops")
    parser.add_argument("--folder", type=Path, default=Path(".work/transfer"), help="where models go")
    options = parser.parse_args()
    runtime.prepare_to_train()
    torch.set_num_threads(1)
    config = TrainConfig(start=SCRATCH, minutes=options.minutes, seed=options.seed, patience=10**6)  # the whole time is used
    model_config = PRESETS[options.preset]
    train, validation = Sampler(SynthConfig(style=options.style, seed=1)), Sampler(SynthConfig(style=options.style, seed=2))
    charset = Charset(train.charset)
    held_out = synthetic_dataset(validation, charset, model_config, Orientation.HORIZONTAL, VALIDATED)
    none = held_out.subset(np.zeros(len(held_out), dtype=bool))
    torch.manual_seed(options.seed)
    model = CRNN(model_config, charset.classes)
    card = Card(f"{options.style}", charset, model_config)
    sampler = BatchSampler(0, config.base_batch, config.seed)
    budget = Budget(config, sampler.samples_per_epoch, sampler.steps_per_epoch, clock=time.process_time)
    trainer = Trainer(model, card, held_out, config, budget, torch.device("cpu"), config.base_batch)
    stream = synthetic_lines(train, charset, model_config, Orientation.HORIZONTAL, workers=0)
    with Loader(sampler, none, stream, charset, model_config, config.augmentation) as loader:
        for event in trainer.train(loader):
            if isinstance(event, Validation):
                scores, stats = event.scores, event.progress
                where = f"{stats.seconds / 60:5.1f} min, {stats.samples_seen} images"
                print(f"{where}: CER {scores.cer:.2%}, exact {scores.exact_match:.1%}", flush=True)
    path = options.folder / options.style / "model.safetensors"
    checkpoint.save(path, card, model, frozenset())
    recognizer = Recognizer(card, TorchEngine(model, torch.device("cpu")))
    results = {folder.name: measure(recognizer, folder) for folder in options.data}
    for name, result in results.items():
        print(f"{options.style} {name}: " + ", ".join(f"{key} {value:.2%}" for key, value in result.items()))
    (path.parent / "results.json").write_text(
        json.dumps({"pictures": stats.samples_seen, **results}, indent=1) + "\n", encoding="utf-8"
    )


def measure(recognizer: Recognizer, folder: Path) -> dict[str, float]:
    """Score the predictions of a folder of crops: exactly, without case and spaces (ci-ns), by letters and digits alone."""
    references = {sample.path: sample.text for sample in load_dataset(folder).samples}
    scorers = {"CER": Scorer(), "CER ci-ns": Scorer(), "CER alnum": Scorer()}
    views: dict[str, Callable[[str], str]] = {
        "CER": str,
        "CER ci-ns": lambda text: "".join(text.casefold().split()),
        "CER alnum": alphanumeric,
    }
    for prediction, reference in zip(
        recognizer.predict(references, read=ReadConfig(quick=True)), references.values(), strict=True
    ):
        for name, view in views.items():
            scorers[name].update(view(plain(reference)), view(plain(prediction.text)))
    scores = {name: scorer.summary() for name, scorer in scorers.items()}
    return {
        "mean Levenshtein": scores["CER"]["mean_levenshtein"],
        **{name: score.cer for name, score in scores.items()},
        "exact": scores["CER"].exact_match,
        "alnum accuracy": scores["CER"]["alnum_accuracy"],
    }


def plain(text: str) -> str:
    """`text` with the compatibility forms, quotes and dashes brought together."""
    return unicodedata.normalize("NFKC", text.translate(QUOTES_AND_DASHES))


if __name__ == "__main__":
    main()
