"""How well pictures are read, by the models that come with crnnocr and by others, all on the same files in one run.

Labels and readings are compared after NFKC, with quotes and dashes alike. Each folder is cut in two by the hash of its file
names: `look` is for finding out what goes wrong, `report` for what is published. Peers that are not installed are left out;
EasyOCR fetches its weights, Tesseract finds `eng.traineddata` by TESSDATA_PREFIX:

    pip install tesserocr rapidocr rapidocr-onnxruntime easyocr onnxruntime
    python benchmarks/accuracy.py --data words=scene_words lines=printed_lines receipts=receipts --half report --table
    python benchmarks/accuracy.py --data words=scene_words --half look --peers --wrong 40 --pictures wrong/
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import Levenshtein
from predict import Reader, models, ours, rapidocr, report, sets, tesseract
from transfer import plain

from crnnocr.metrics.bootstrap import Estimate, ratio
from crnnocr.metrics.confusions import Confusions
from crnnocr.metrics.scores import count
from crnnocr.model import registry

HALVES = ("look", "report")


@dataclass(frozen=True)
class Score:
    """What a kind of pictures is scored by."""

    name: str
    """What to call it."""
    measure: Callable[[Sequence[str], Sequence[str]], Estimate]
    """The score of readings of truths, with its interval."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="KIND=FOLDER, KIND of words, lines, receipts")
    parser.add_argument(
        "--models", nargs="+", default=[f"{name}={name}" for name in registry.pretrained_names()], help="NAME=MODEL"
    )
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), help="other recognisers")
    parser.add_argument("--half", choices=(*HALVES, "all"), default="all", help="of the pictures")
    parser.add_argument("--limit", type=int, default=1_000_000, help="pictures of each folder")
    parser.add_argument("--table", action="store_true", help="print a Markdown table, too")
    parser.add_argument("--wrong", type=int, default=0, help="worst readings of our models that are printed")
    parser.add_argument("--pictures", type=Path, help="a folder to copy their pictures to")
    options = parser.parse_args()
    cells: dict[tuple[str, str], str] = {}
    for kind, files, truths in sets(options):
        files, truths = half_of(files, truths, options.half)
        for name, read in readers(options, kind).items():
            read(files[:8])
            started = time.process_time()
            texts = read(files)
            each = 1000 * (time.process_time() - started) / len(files)
            for score in SCORES[kind]:
                found = score.measure(truths, texts)
                cells[name, f"{kind}: {score.name}"] = (
                    f"{100 * found.value:.1f} ({100 * found.low:.1f} – {100 * found.high:.1f})"
                )
                report(
                    reader=name, kind=kind, pictures=len(files), half=options.half, score=score.name, value=found.value,
                    low=found.low, high=found.high, cpu_milliseconds=each,
                )  # fmt: skip
            cells[name, f"{kind}: CPU ms"] = f"{each:.1f}"
            if name in dict(models(options)):
                show_wrong(options, files, truths, texts)
    if options.table:
        print(table(cells))


def half_of(files: Sequence[Path], truths: Sequence[str], half: str) -> tuple[list[Path], list[str]]:
    """The pictures whose names fall into one half."""
    kept = [pair for pair in zip(files, truths, strict=True) if half in ("all", HALVES[_hash(pair[0].name) % 2])]
    return [file for file, _ in kept], [truth for _, truth in kept]


def _hash(name: str) -> int:
    return hashlib.sha256(name.encode()).digest()[0]


def readers(options: argparse.Namespace, kind: str) -> dict[str, Reader]:
    """Our models, with another look where they are unsure and without, and the peers that are installed."""
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
        texts = []
        for file in files:
            with Image.open(file) as picture:
                box = [[0, picture.width, 0, picture.height]]
            texts.append(" ".join(reader.recognize(str(file), horizontal_list=box, free_list=[], detail=0)))
        return texts

    return read


PEERS: dict[str, Callable[[str], Reader]] = {
    "Tesseract": tesseract,
    "PP-OCRv6 small": rapidocr,
    "PP-OCRv4": rapidocr_v4,
    "EasyOCR english_g2": easyocr,
}


def error_rate(form: Callable[[str], str]) -> Callable[[Sequence[str], Sequence[str]], Estimate]:
    """The CER of texts that are brought to a form first."""

    def measure(truths: Sequence[str], texts: Sequence[str]) -> Estimate:
        pairs = [(form(plain(truth)), form(plain(text))) for truth, text in zip(truths, texts, strict=True)]
        return ratio([Levenshtein.distance(*pair) for pair in pairs], [len(truth) for truth, _ in pairs])

    return measure


def alphanumeric(truths: Sequence[str], texts: Sequence[str]) -> Estimate:
    """The share of pictures that are right in letters and digits, in any case."""
    counts = [count(plain(truth), plain(text)) for truth, text in zip(truths, texts, strict=True)]
    return ratio([each.alphanumeric_matches for each in counts], [1] * len(counts))


def exact(truths: Sequence[str], texts: Sequence[str]) -> Estimate:
    """The share of pictures that are read without an error."""
    return ratio([plain(a) == plain(b) for a, b in zip(truths, texts, strict=True)], [1] * len(truths))


def confused(is_one: Callable[[str], bool], is_edit: Callable[[str, str], bool]) -> Callable[..., Estimate]:
    """How many edits of a kind there are for each true character of a kind; what is lost or added stands as ''."""

    def measure(truths: Sequence[str], texts: Sequence[str]) -> Estimate:
        edits, characters = [], []
        for truth, text in zip(map(plain, truths), map(plain, texts), strict=True):
            counted = Confusions()
            counted.update(truth, text)
            edits.append(sum(count for edit, count in counted.most_common() if is_edit(edit.reference, edit.prediction)))
            characters.append(sum(map(is_one, truth)))
        return ratio(edits, characters)

    return measure


def is_sign(character: str) -> bool:
    """Whether it is a punctuation mark or another sign."""
    return bool(character) and not character.isalnum() and not character.isspace()


SPACES = confused(str.isspace, lambda truth, reading: " " in (truth, reading))
SIGNS = confused(is_sign, lambda truth, reading: is_sign(truth) or is_sign(reading))
CASE = confused(str.isalpha, lambda truth, reading: truth != reading and truth.casefold() == reading.casefold())

SCORES = {
    "words": (Score("alnum %", alphanumeric), Score("CER ci %", error_rate(str.casefold))),
    "lines": (
        Score("CER %", error_rate(str.strip)),
        Score("exact %", exact),
        Score("spaces wrong %", SPACES),
        Score("signs wrong %", SIGNS),
        Score("case wrong %", CASE),
    ),
    "receipts": (Score("CER ci-ns %", error_rate(lambda text: "".join(text.casefold().split()))),),
}


def show_wrong(options: argparse.Namespace, files: Sequence[Path], truths: Sequence[str], texts: Sequence[str]) -> None:
    """Print the worst readings, without case and spaces, and copy their pictures."""
    rows = []
    for file, truth, text in zip(files, truths, texts, strict=True):
        distance = Levenshtein.distance(*("".join(plain(one).casefold().split()) for one in (truth, text)))
        rows.append((distance / max(len(truth), 1), file, truth, text))
    for place, (_, file, truth, text) in enumerate(sorted(rows, reverse=True)[: options.wrong]):
        print(f"{file.name}\t{truth}\t{text}")
        if options.pictures:
            options.pictures.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, options.pictures / f"{place:03d}-{file.name}")


def table(cells: dict[tuple[str, str], str]) -> str:
    """Readers down, scores across, in Markdown."""
    names, columns = (list(dict.fromkeys(key[i] for key in cells)) for i in range(2))
    lines = [f"| | {' | '.join(columns)} |", "| --- " * (len(columns) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(cells.get((name, column), '–') for column in columns)} |" for name in names]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
