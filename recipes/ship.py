"""A trained model as it comes with crnnocr: with its int8 engine file, and its scores on real crops in its card.

    python recipes/ship.py en trained/model.safetensors --data words=scene_words lines=printed_lines receipts=receipts

Published scores are measured on the half of each folder that nobody has inspected: `benchmarks/accuracy.py` says which.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from accuracy import SCORES, half_of
from predict import ours, sets

from crnnocr.config import Orientation, Precision
from crnnocr.export.folder import write_int8
from crnnocr.inference.engines import DERIVED
from crnnocr.model import checkpoint, registry
from crnnocr.model.card import Card, Publication, RealScore
from crnnocr.model.crnn import CRNN

ABOUT = Publication(
    licence="Apache-2.0",
    pictures="synthesized by `crnnocr synth` in English, mostly in style mixed, some in scene and receipt, one in ten in trdg; "
    "in the fonts of trdg, of crnnocr[fonts] and of recipes/fonts.txt; no real image",
    limits="handwriting, stylized lettering, narrow circles, crops less than 15 pixels high, several lines, other languages",
    reproduce="recipes/shipped.py, then recipes/ship.py; docs/lab-notes.md has the log",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=registry.PRETRAINED.values())
    parser.add_argument("model", type=Path, help="model.safetensors as `recipes/shipped.py` left it")
    parser.add_argument("--data", nargs="+", required=True, help="KIND=FOLDER, KIND of words, lines, receipts")
    parser.add_argument("--before", help="what the network had been trained on before this training, in words")
    options = parser.parse_args()
    options.limit = 1_000_000
    card, model = checkpoint.load(options.model)
    if not card.activation_ranges:
        raise SystemExit(f"{options.model} has no activation ranges: let recipes/shipped.py end")
    card = replace(card, name=options.name, orientation=Orientation.AUTO, precision=Precision.INT8)
    about = replace(ABOUT, before=options.before or "")
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / registry.WEIGHTS, card, model, about)
        scores = measured(Path(folder), options)
    target = registry.PRETRAINED_FOLDER / options.name / registry.WEIGHTS
    write(target, card, model, replace(about, real_crops=scores))
    sizes = {path.name: path.stat().st_size for path in sorted(target.parent.iterdir())}
    print(f"{target.parent}: {sizes}, {sum(sizes.values()) / 1e6:.2f} MB")


def write(target: Path, card: Card, model: CRNN, about: Publication) -> None:
    """Write the model, and the file that onnxruntime runs in its place."""
    assert card.training, "it has been trained"
    card = replace(card, training=replace(card.training, about=about))
    checkpoint.save(target, card, model, ())
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
