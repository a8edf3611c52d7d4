"""A trained model as it comes with crnnocr: with its int8 engine file, its calibration, and its scores in its card.

    python recipes/ship.py en taught/en.safetensors lessons/ --real shared/data_train \\
        --data words=scene_words lines=printed_lines receipts=receipts

Calibration and scores are those on the lessons that `recipes/lessons.py` kept apart, published scores those on the half of each
folder that nobody has inspected: `benchmarks/accuracy.py` says which.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import lessons
import numpy as np
import torch
from accuracy import SCORES, half_of
from lessons import Lesson
from PIL import Image
from predict import ours, sets

from crnnocr import __version__
from crnnocr.config import ExportConfig, ModelConfig, Orientation, Precision
from crnnocr.datasets import Sample
from crnnocr.datasets.lines import LineDataset, content_id
from crnnocr.export.folder import serialize_onnx, write_int8
from crnnocr.graph import quantization
from crnnocr.images import Preprocessor
from crnnocr.inference.engines import DERIVED, OnnxEngine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics import calibration
from crnnocr.model import checkpoint, registry
from crnnocr.model.card import Card, DataSource, Publication, RealScore, TrainingData, TrainingRecord, Versions
from crnnocr.model.crnn import CRNN
from crnnocr.training.validation import recognize_lines

_SMALL = "PP-OCRv6 small (Apache-2.0, the PaddlePaddle authors), for gray lines and with more frames"
BODIES = {
    "en-base": f"body, neck and head of {_SMALL}",
    "en": f"body, neck and head of {_SMALL}; with half the units of its pointwise convolutions, for lines 32 pixels high, "
    "and trained further to imitate the features of `en-base`",
    "en-fast": "a network of the preset small, which had been trained on synthetic images alone",
}
"""What each model began with, in words."""
STARTS = {"en-base": "PP-OCRv6 small", "en": "PP-OCRv6 small", "en-fast": "the en of before"}
ABOUT = Publication(
    licence="Apache-2.0",
    pictures="the training words of ICDAR 2015 Incidental Scene Text (Karatzas et al. 2015) and receipt lines of ICDAR "
    "2019 SROIE (Huang et al. 2019), both CC BY 4.0; and what `crnnocr synth` makes in English, some in other languages, in "
    "the fonts of trdg, of crnnocr[fonts] and of recipes/fonts.txt; by their labels, and by what PP-OCRv6 small reads in them",
    limits="handwriting, tight circles, crops less than 15 pixels high, several lines, languages other than English",
    reproduce="recipes/bodies.py, lessons.py, teach.py, ship.py; docs/lab-notes.md has the log",
)
SPARE = 10
"""Of so many lines one is taken to measure the ranges of activations."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=registry.PRETRAINED)
    parser.add_argument("model", type=Path, help="model.safetensors as `recipes/teach.py` left it")
    parser.add_argument("lessons", type=Path, help="the folder that recipes/lessons.py made")
    parser.add_argument("--real", type=Path, required=True, help="the folder that holds scene_words and receipt_lines")
    parser.add_argument("--data", nargs="+", required=True, help="KIND=FOLDER, KIND of words, lines, receipts")
    options = parser.parse_args()
    options.limit = 1_000_000
    card, model = checkpoint.load(options.model)
    model.eval()
    kept, learned = (
        lines_of([each for path in sorted(options.lessons.glob(pattern)) for each in lessons.read(path)], card.config)
        for pattern in ("held-out-*.npz", "*-000.npz")
    )
    card = replace(
        card,
        name=options.name,
        orientation=Orientation.AUTO,
        precision=Precision.INT8,
        activation_ranges=quantization.activation_ranges(model, [learned[i].pixels for i in range(0, len(learned), SPARE)]),
    )
    engine = OnnxEngine(serialize_onnx(card, model, ExportConfig(precision=Precision.INT8)))
    scores, samples = recognize_lines(Recognizer(card, engine), kept)
    print(scores)
    found = calibration.fit([each.log_prob for each in samples], [each.prediction == each.reference for each in samples])
    card = replace(card, scores=scores, calibration=found)
    stages = json.loads(options.model.with_suffix(".json").read_text())
    trained_on = sorted({content_id(each.path.read_bytes()) for each in lessons.real(options.real, held_out=False)})
    card = replace(card, training=record(options.name, stages, trained_on, len(kept)))
    about = replace(ABOUT, before=BODIES[options.name])
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / registry.WEIGHTS, card, model, about, ())
        measures = measured(Path(folder), options)
    target = registry.PRETRAINED_FOLDER / options.name / registry.WEIGHTS
    write(target, card, model, replace(about, real_crops=measures), trained_on)
    sizes = {path.name: path.stat().st_size for path in sorted(target.parent.iterdir())}
    print(f"{target.parent}: {sizes}, {sum(sizes.values()) / 1e6:.2f} MB")


def lines_of(known: Sequence[Lesson], config: ModelConfig) -> LineDataset:
    """Lessons as a data set, those whose label does not fit left out."""
    preprocessor = Preprocessor.for_model(config)
    lines = [
        each.line if each.line.shape[0] == config.height else preprocessor.line(Image.fromarray(each.line)) for each in known
    ]
    pairs = [
        (line, each.text)
        for line, each in zip(lines, known, strict=True)
        if len(each.text) + sum(a == b for a, b in zip(each.text, each.text[1:], strict=False)) <= config.frames(line.shape[1])
    ]
    widths = np.array([line.shape[1] for line, _ in pairs], dtype=np.int64)
    samples = [Sample(Path("lesson"), text, str(number)) for number, (_, text) in enumerate(pairs)]
    sizes = np.stack([widths, np.full_like(widths, config.height)], axis=1)
    pixels = np.concatenate([line.ravel() for line, _ in pairs])
    return LineDataset(samples, pixels, config.height, widths, np.full_like(widths, -1), sizes)


def record(name: str, stages: Sequence[dict[str, object]], trained_on: Sequence[int], held_out: int) -> TrainingRecord:
    """How the model was trained."""

    def total(key: str) -> float:
        return sum(float(str(stage[key])) for stage in stages)

    return TrainingRecord(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        data=TrainingData(
            sources=(DataSource("scene_words", "tsv", 4468), DataSource("receipt_lines", "tsv", 26685)),
            learned=len(trained_on),
            held_out=held_out,
            digest=hashlib.blake2b(np.array(trained_on, "<i8").tobytes(), digest_size=16).hexdigest(),
            texts=None,
        ),
        start=STARTS[name],
        config={"synth": "en", "stages": list(stages)},
        batch_size=0,
        steps=int(total("steps")),
        pictures_shown=int(total("seen")),
        seconds=total("seconds"),
        device="cpu",
        threads=1,
        versions=Versions(crnnocr=__version__, torch=torch.__version__, numpy=np.__version__, python=platform.python_version()),
    )


def write(target: Path, card: Card, model: CRNN, about: Publication, trained_on: Sequence[int]) -> None:
    """Write the model, and the file that onnxruntime runs in its place."""
    assert card.training, "it has been trained"
    card = replace(card, training=replace(card.training, about=about))
    checkpoint.save(target, card, model, trained_on)
    write_int8(target, target.parent / DERIVED[Precision.INT8])


def measured(model: Path, options: argparse.Namespace) -> dict[str, RealScore]:
    """Each score of the model in a folder, on the half of the data that is for it, with its interval."""
    read, found = ours(str(model), 1), dict[str, RealScore]()
    for kind, files, references in sets(options):
        files, references = half_of(files, references, "report")
        texts = read(files)
        for score in SCORES[kind]:
            found[f"{kind}: {score.name}"] = RealScore(len(files), **asdict(score.measure(references, texts)))
            print(kind, score.name, found[f"{kind}: {score.name}"])
    return found


if __name__ == "__main__":
    main()
