"""`x.gt.txt` beside `x.png`: the convention of ocropus, Tesseract's training and their descendants; or `x.txt`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from natsort import natsorted

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, Sample, label_file, table
from crnnocr.datasets.image_index import ImageIndex
from crnnocr.datasets.issues import AMBIGUOUS_LABEL, LABEL_WITHOUT_IMAGE, NOT_UTF_8, UNLABELED_IMAGE, Issue, merged
from crnnocr.datasets.pairing import pair
from crnnocr.errors import DataError
from crnnocr.files import atomic_write, read_text
from crnnocr.formatting import plural

ENDING = ".gt.txt"
TEXT_ENDING = ".txt"
"""Of labels in folders where no file has the other one. Other files end so too."""
_EXAMINED = 5
"""Label files that are examined for being lists of images instead."""

_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE]-?\d+)?"
_BOXES = {
    "YOLO": re.compile(rf"\S+(?: +{_NUMBER}){{4,}}"),
    "corners": re.compile(rf"{_NUMBER}(?:,\s*{_NUMBER}){{3}}(?:(?:,\s*{_NUMBER}){{4}})?"),
}
"""A line of each kind: a class and its box in shares of the image, or the pixels of two or four corners."""
_EXAMINED_BOXES = 20
"""Label files that tell the kind of boxes."""
CUT_OUT = "cut the boxes out, and write a labels.csv with a line image,text for each crop"


def load(folder: Path, config: LabelConfig) -> Dataset | None:
    """Load a folder and the folders in it, in natural order. Returns None if there is no such label."""
    labels = natsorted(ImageIndex(folder).files(ENDING))
    return _load(folder, labels, ENDING, config) if labels else None


def load_texts(folder: Path, config: LabelConfig) -> Dataset | None:
    """Load a folder in which most images have an `x.txt`, and most such files an image, and no table lists images.

    Returns None for any other.

    Raises `DataError` if these hold boxes without texts.
    """
    labels = natsorted(ImageIndex(folder).files(TEXT_ENDING))
    images = ImageIndex(Path(config.images or folder)).images if labels else []
    paired = [folder / label for label in natsorted(pair(images, labels, TEXT_ENDING).labels.values())]
    if not paired or 2 * len(paired) < max(len(labels), len(images)):
        return None
    others = {path for path in folder.iterdir() if path.suffix.lower() in table.SUFFIXES and path.is_file()}.difference(paired)
    if any(map(table.lists_images, [*paired[:_EXAMINED], *sorted(others)])):
        return None
    if kind := _kind_of_boxes(paired):
        boxes = f"boxes for {plural(len(paired), 'image')} ({kind}, such as {paired[0].relative_to(folder)})"
        what = "which say where something is, and not what is written there"
        raise DataError(f"{folder} has {boxes}, {what}: {CUT_OUT}")
    return _load(folder, labels, TEXT_ENDING, config)


def _load(folder: Path, label_files: list[str], ending: str, config: LabelConfig) -> Dataset:
    index = ImageIndex(Path(config.images or folder))
    images = natsorted(index.images)
    pairs = pair(images, label_files, ending)
    paired = set(pairs.labels.values())
    samples: list[Sample] = []
    issues: list[Issue] = []
    for image in images:
        if image not in pairs.labels:
            issues.append(UNLABELED_IMAGE.at(image))
            continue
        label = pairs.labels[image]
        try:
            text, changes = label_file.label_of(read_text(folder / label))
        except DataError as error:
            issues.append(NOT_UTF_8.at(label, str(error)))
            continue
        if issue := label_file.issue_of_text(text, config.empty):
            issues.append(issue.at(label))
            continue
        samples.append(Sample(index.root / image, text))
        issues += (change.at(index.root / image, label) for change in changes)
    issues += [
        AMBIGUOUS_LABEL.at(label, f"{label} ({', '.join(pairs.ambiguous[label])})")
        if label in pairs.ambiguous
        else LABEL_WITHOUT_IMAGE.at(label)
        for label in label_files
        if label not in paired
    ]
    return Dataset(folder, f"sidecars {ending}", tuple(samples), merged(issues))


def holds_labels(folder: Path) -> bool:
    """Whether there is such a label in a folder, or in one below it."""
    return bool(ImageIndex(folder).files(ENDING))


def labels_of(images: Path, labels: Path) -> bool:
    """Whether a folder holds such labels for most images of another one."""
    stems = {Path(file).name[: -len(ending)] for ending in (ENDING, TEXT_ENDING) for file in ImageIndex(labels).files(ending)}
    names = [Path(image).stem for image in ImageIndex(images).images] if stems else []
    return 2 * sum(name in stems for name in names) > len(names)


def _kind_of_boxes(label_files: Sequence[Path]) -> str | None:
    """The kind of boxes that label files hold if they hold nothing else."""
    lines = [line.strip() for file in label_files[:_EXAMINED_BOXES] for line in _text_of(file).splitlines() if line.strip()]
    kind = next((kind for kind, pattern in _BOXES.items() if lines and all(map(pattern.fullmatch, lines))), None)
    # Numbers in groups are texts too; of boxes in shares of the image nearly all have a point.
    if kind == "YOLO" and sum(line.count(".") >= 2 for line in lines) < len(lines) / 2:
        return None
    return kind


def holds_xml_boxes(label_files: Sequence[Path]) -> bool:
    """Whether label files are Pascal VOC's."""
    return any("<bndbox>" in _text_of(file) for file in label_files[:_EXAMINED_BOXES])


def _text_of(file: Path) -> str:
    try:
        return read_text(file)
    except DataError:
        return ""


def label_of(image: Path) -> Path:
    """Return the label file that belongs to an image."""
    return image.with_suffix(ENDING)


def write(image: Path, text: str) -> None:
    """Write the label of an image beside it."""
    with atomic_write(label_of(image)) as part:
        part.write_text(f"{text}\n", encoding="utf-8", newline="\n")
