"""`x.gt.txt` beside `x.png`: the convention of ocropus, Tesseract's training and their descendants."""

from __future__ import annotations

from pathlib import Path

from natsort import natsorted

from crnnocr import images
from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.issues import EMPTY_LABEL, LABEL_WITHOUT_IMAGE, UNLABELED_IMAGE, Issue, merged
from crnnocr.files import atomic_write, read_text
from crnnocr.text.charset import nfc

ENDING = ".gt.txt"


def load(folder: Path) -> Dataset | None:
    """Load a folder and the folders in it, in natural order. Returns None if there is no such label."""
    labels = {str(path).removesuffix(ENDING): path for path in folder.rglob(f"*{ENDING}")}
    if not labels:
        return None
    paths = natsorted(images.image_files(folder.rglob("*")), key=str)
    found = {path: labels.pop(stem) for path in paths if (stem := str(path.with_suffix(""))) in labels}
    for path in paths:
        if path not in found and _stem(path) in labels:
            found[path] = labels.pop(_stem(path))
    samples: list[Sample] = []
    issues: list[Issue] = []
    for path in paths:
        if path not in found:
            issues.append(UNLABELED_IMAGE.at(path.relative_to(folder)))
        elif text := nfc(read_text(found[path])).strip():
            samples.append(Sample(path, text))
        else:
            issues.append(EMPTY_LABEL.at(found[path].relative_to(folder)))
    issues += [LABEL_WITHOUT_IMAGE.at(label.relative_to(folder)) for label in labels.values()]
    return Dataset(folder, f"sidecars {ENDING}", tuple(samples), merged(issues))


def holds_labels(folder: Path) -> bool:
    """Whether there is such a label in a folder, or in one below it."""
    return any(folder.rglob(f"*{ENDING}"))


def label_of(image: Path) -> Path:
    """Return the label file that belongs to an image."""
    return image.with_suffix(ENDING)


def write(image: Path, text: str) -> None:
    """Write the label of an image beside it."""
    with atomic_write(label_of(image)) as part:
        part.write_text(f"{text}\n", encoding="utf-8", newline="\n")


def _stem(image: Path) -> str:
    """The path up to the name's first dot: ocropus writes `x.bin.png` and `x.nrm.png` for `x.gt.txt`."""
    return str(image.with_name(image.name.split(".", 1)[0]))
