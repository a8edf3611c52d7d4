"""The 987 protocol: train on 987 synthetic images, and read 987 others whose texts are all different.

The images are those of `crnnocr synth --style trdg` with seed 1 (to train on) and seed 2 (to measure with): uniform
words of trdg's English dictionary, 1 to 3 words, its skew, blur and noise. The idea is a blog post's, whose author
reported a mean Levenshtein distance of 1.57 on the images that were trained on; here other images are measured with.

    python benchmarks/protocol987.py --minutes 3                # from the pretrained model, as `crnnocr train`
    python benchmarks/protocol987.py --minutes 15 --from scratch
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import Counter
from pathlib import Path

import torch
from PIL import ImageFont

from crnnocr import runtime
from crnnocr.config import AUTO, SCRATCH, DecodeConfig, Style, SynthConfig, TrainConfig
from crnnocr.datasets import Dataset
from crnnocr.datasets.detection import load_dataset
from crnnocr.evaluation.outcomes import predict_samples, score_samples
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.scores import Scores, headline
from crnnocr.model import registry
from crnnocr.synth.dataset.folder import generate
from crnnocr.synth.sampler import Sampler
from crnnocr.training.finalize import Finished
from crnnocr.training.prepare import inspect, prepare
from crnnocr.training.run import run
from crnnocr.training.schedule import Progress
from crnnocr.training.stages import Order
from crnnocr.training.validation import Validation

COUNT = 987
LEARN = SynthConfig(lang=("en",), seed=1, words=(1, 3), height=32, style=Style.TRDG)
MEASURE = SynthConfig(lang=("en",), seed=2, words=(1, 3), height=32, style=Style.TRDG)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0, help="wall time of each training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of the trainings")
    parser.add_argument("--from", dest="start", default=AUTO, help="where the weights start, as of `crnnocr train`")
    parser.add_argument("--batch-size", type=int, help="images per step; by default as in `crnnocr train`")
    parser.add_argument("--folder", type=Path, default=Path(".work/protocol987"), help="where images and models go")
    options = parser.parse_args()
    runtime.prepare_to_train()
    torch.set_num_threads(2)
    if options.start not in (AUTO, SCRATCH):
        options.start = str(registry.find(options.start).path)  # before each training has a store of its own
    learn, measure = _make(options.folder / "learn", LEARN), _make(options.folder / "measure", MEASURE)
    common = {s.text for s in learn.samples} & {s.text for s in measure.samples}
    if common:
        raise SystemExit(f"the two sets share texts: {sorted(common)}")
    length = statistics.mean(len(sample.text) for sample in measure.samples)
    print(f"{COUNT} images to train on and {COUNT} to measure with, {length:.2f} characters a label, no text in common")
    print(f"floor: {floor():.4f}, of letters that look the same as another one in their font")
    if options.start != SCRATCH and (found := registry.pretrained() if options.start == AUTO else registry.find(options.start)):
        _said(f"{found.name} before any training", _measured(found.path, measure))
    results = [_once(learn, measure, seed, options, options.folder / f"seed-{seed}") for seed in options.seeds]
    distances = [result["mean_levenshtein"] for result in results]
    spread = statistics.stdev(distances) if len(distances) > 1 else 0.0
    print(f"mean Levenshtein distance {statistics.mean(distances):.3f} ± {spread:.3f} over {len(distances)} trainings")
    (options.folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def _make(folder: Path, config: SynthConfig) -> Dataset:
    for _ in generate(folder, config, COUNT):
        pass
    return load_dataset(folder)


def floor() -> float:
    """The mean distance that nobody can go below: of letters that have the same glyph in their font, all but the most frequent.

    Of each sample only its own font counts; how frequent a letter is, is counted over all texts.
    """
    sampler = Sampler(MEASURE)
    lines = [sampler.render(index) for index in range(COUNT)]
    frequency = Counter("".join(line.text for line in lines))
    letters = sorted(frequency)
    lost = 0
    for line in lines:
        font = ImageFont.truetype(line.font.path, 64)
        alike: dict[tuple[float, bytes], list[str]] = {}
        for letter in letters:
            alike.setdefault((font.getlength(letter), bytes(font.getmask(letter))), []).append(letter)
        likeliest = {letter: max(group, key=frequency.__getitem__) for group in alike.values() for letter in group}
        lost += sum(likeliest[letter] != letter for letter in line.text)
    return lost / COUNT


def _measured(model: Path, measure: Dataset) -> Scores:
    return score_samples(predict_samples(Recognizer.load(str(model), device="cpu"), measure.samples, DecodeConfig())).scores


def _said(what: str, scores: Scores) -> None:
    print(f"{what}: {headline(scores.values)}", flush=True)


def _once(learn: Dataset, measure: Dataset, seed: int, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    config = TrainConfig(start=options.start, minutes=options.minutes, seed=seed, batch_size=options.batch_size)
    started = time.monotonic()
    seen = 0
    os.environ["CRNNOCR_DATA_DIR"] = str(folder)
    prepared = prepare(inspect((learn,), (), config), config, "protocol987")
    for event in run(Order(prepared, config, (learn,), force=True, device="cpu")):
        if isinstance(event, Progress):
            seen = event.samples_seen
        elif isinstance(event, Validation):
            print(f"  seed {seed} step {event.progress.step}: validation CER {event.scores.cer:.2%}", flush=True)
        elif isinstance(event, Finished):
            wall = (time.monotonic() - started) / 60
            scores = _measured(event.path, measure)
    _said(f"seed {seed}, {seen} samples seen in {wall:.1f} minutes with {torch.get_num_threads()} threads", scores)
    return {**scores.to_json(), "seed": seed, "pictures_shown": seen, "minutes": wall}


if __name__ == "__main__":
    main()
