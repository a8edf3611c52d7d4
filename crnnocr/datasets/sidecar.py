"""`x.gt.txt` beside `x.png`: the convention of ocropus, Tesseract's training and their descendants."""

from __future__ import annotations

from pathlib import Path

from natsort import natsorted

from crnnocr import images
from crnnocr.datasets import Dataset, Fault, Sample
from crnnocr.datasets.label_file import read_label_file
from crnnocr.files import replacing
from crnnocr.text.charset import normalise

ENDING = ".gt.txt"


def read(folder: Path) -> Dataset | None:
    """The samples of a folder and the folders in it, in natural order; None where it holds no such label."""
    labels = {str(path).removesuffix(ENDING): path for path in folder.rglob(f"*{ENDING}")}
    if not labels:
        return None
    pictures = natsorted(images.image_files(folder.rglob("*")), key=str)
    found = {picture: labels.pop(stem) for picture in pictures if (stem := str(picture.with_suffix(""))) in labels}
    for picture in pictures:
        if picture not in found and _stem(picture) in labels:
            found[picture] = labels.pop(_stem(picture))
    samples: list[Sample] = []
    faults: list[Fault] = []
    for picture in pictures:
        if picture not in found:
            faults.append(Fault(f"picture without a label ({ENDING})", str(picture.relative_to(folder))))
        elif text := normalise(read_label_file(found[picture])).strip():
            samples.append(Sample(picture, text))
        else:
            faults.append(Fault("empty label", str(found[picture].relative_to(folder))))
    faults += [Fault("label without its picture", str(label.relative_to(folder))) for label in labels.values()]
    return Dataset(folder, f"sidecars {ENDING}", tuple(samples), tuple(faults))


def holds_labels(folder: Path) -> bool:
    """Whether there is such a label in a folder, or in one below it."""
    return any(folder.rglob(f"*{ENDING}"))


def label_of(picture: Path) -> Path:
    """The label file that belongs to a picture."""
    return picture.with_suffix(ENDING)


def write(picture: Path, text: str) -> None:
    """Write the label of a picture beside it."""
    with replacing(label_of(picture)) as part:
        part.write_text(f"{text}\n", encoding="utf-8", newline="\n")


def _stem(picture: Path) -> str:
    """The path up to the name's first dot: ocropus writes `x.bin.png` and `x.nrm.png` for `x.gt.txt`."""
    return str(picture.with_name(picture.name.split(".", 1)[0]))
