"""`x.gt.txt` beside `x.png`: the convention of ocropus, Tesseract's training and their descendants."""

from __future__ import annotations

from pathlib import Path

from natsort import natsorted

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.image_index import ImageIndex
from crnnocr.datasets.issues import AMBIGUOUS_LABEL, LABEL_WITHOUT_IMAGE, NOT_UTF_8, UNLABELED_IMAGE, Issue, merged
from crnnocr.datasets.label_file import issue_of_text
from crnnocr.datasets.pairing import pair
from crnnocr.errors import DataError
from crnnocr.files import atomic_write, read_text
from crnnocr.text.charset import nfc

ENDING = ".gt.txt"


def load(folder: Path, config: LabelConfig) -> Dataset | None:
    """Load a folder and the folders in it, in natural order. Returns None if there is no such label."""
    index = ImageIndex(folder)
    label_files = natsorted(index.files(ENDING))
    if config.images:
        index = ImageIndex(Path(config.images))
    if not label_files:
        return None
    images = natsorted(index.images)
    pairs = pair(images, label_files, ENDING)
    paired = set(pairs.labels.values())
    samples: list[Sample] = []
    issues: list[Issue] = []
    for image in images:
        if image not in pairs.labels:
            issues.append(UNLABELED_IMAGE.at(image))
            continue
        label = pairs.labels[image]
        try:
            text = nfc(read_text(folder / label)).strip()
        except DataError as error:
            issues.append(NOT_UTF_8.at(label, str(error)))
            continue
        if issue := issue_of_text(text, config.empty):
            issues.append(issue.at(label))
        else:
            samples.append(Sample(index.root / image, text))
    issues += [
        AMBIGUOUS_LABEL.at(label, f"{label} ({', '.join(pairs.ambiguous[label])})")
        if label in pairs.ambiguous
        else LABEL_WITHOUT_IMAGE.at(label)
        for label in label_files
        if label not in paired
    ]
    return Dataset(folder, f"sidecars {ENDING}", tuple(samples), merged(issues))


def holds_labels(folder: Path) -> bool:
    """Whether there is such a label in a folder, or in one below it."""
    return bool(ImageIndex(folder).files(ENDING))


def label_of(image: Path) -> Path:
    """Return the label file that belongs to an image."""
    return image.with_suffix(ENDING)


def write(image: Path, text: str) -> None:
    """Write the label of an image beside it."""
    with atomic_write(label_of(image)) as part:
        part.write_text(f"{text}\n", encoding="utf-8", newline="\n")
