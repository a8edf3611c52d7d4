"""`gt_img_1.txt` for `img_1.jpg`: boxes of a page and their texts, as ICDAR, SROIE, and CVAT's export for ICDAR have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from natsort import natsorted

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, regions
from crnnocr.datasets.image_index import ImageIndex
from crnnocr.datasets.issues import BOX_WITHOUT_AREA, BOX_WITHOUT_TEXT, LABEL_WITHOUT_IMAGE, UNLABELED_IMAGE, Issue
from crnnocr.datasets.label_file import LabelRecord, broken_row, dataset_of
from crnnocr.datasets.pairing import pair
from crnnocr.errors import DataError
from crnnocr.files import read_lines, read_text

ENDING = ".txt"

_NUMBER = r"-?\d+(?:\.\d+)?"
_LINE = re.compile(
    rf"(?P<corners>{_NUMBER}(?:,\s*{_NUMBER}){{7}}),(?P<text>.*)"  # 2015, MLT, SROIE
    rf'|(?P<box>{_NUMBER}(?:(?:,\s*|\s+){_NUMBER}){{3}})(?:,\s*|\s+)"(?P<quoted>.*)"'  # 2013
)
_SCRIPT = re.compile("(?:Arabic|Bangla|Chinese|Hindi|Japanese|Korean|Latin|Mixed|None|Symbols),")
"""What MLT has before the text."""
_CHECKED = 5
"""Label files whose first lines say whether all are boxes."""


def accepts(line: str) -> bool:
    """Whether a line is a box and its text."""
    return _LINE.fullmatch(line.strip()) is not None


def load(folder: Path, config: LabelConfig) -> Dataset | None:
    """Load a folder of pages and their label files, in natural order. Returns None if there are none.

    Raises `DataError`, naming a line, if at least half are of another format.
    """
    labels = ImageIndex(folder).files(ENDING)
    images = natsorted(ImageIndex(Path(config.images or folder)).images) if labels else []
    pairs = pair(images, natsorted(labels), ENDING).labels if images else {}
    if not pairs or not all(_begins(folder / label) for label in list(pairs.values())[:_CHECKED]):
        return None
    issues = [UNLABELED_IMAGE.at(image) for image in images if image not in pairs]
    issues += [
        LABEL_WITHOUT_IMAGE.at(label) for label in natsorted(set(labels) - set(pairs.values())) if _begins(folder / label)
    ]
    records = (record for image in images if image in pairs for record in _records(folder, image, pairs[image]))
    found = dataset_of(folder / ENDING, "ICDAR, boxes in pages", records, config, issues=issues)
    return Dataset(folder, found.format, found.samples, found.issues)


def _begins(label_file: Path) -> bool:
    """Whether the first line of a file is a box."""
    try:
        return accepts(next((line for _, line in read_lines(label_file) if line.strip()), ""))
    except DataError:
        return False


def _records(folder: Path, image: str, label: str) -> Iterator[LabelRecord | Issue]:
    for number, line in enumerate(read_text(folder / label).split("\n"), start=1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        where = f"{label} line {number}"
        if found is None:
            yield broken_row(folder / label, number, f"is not a box and its text, as in 1,2,9,2,9,5,1,5,text: {line!r}")
            continue
        text = found["quoted"] if found["box"] else _text(found["text"])
        region = regions.of_numbers(re.split(r"[,\s]+", found["corners"] or found["box"]))
        if not text.strip():
            yield BOX_WITHOUT_TEXT.at(image, where)
        elif region:
            yield LabelRecord(number, image, text, region=region)
        else:
            yield BOX_WITHOUT_AREA.at(image, where)


def _text(rest: str) -> str:
    """The text of a line with four corners: after MLT's script, without the quotes of CVAT."""
    script = _SCRIPT.match(rest)
    text = rest[script.end() :] if script else rest.strip()
    quoted = re.fullmatch(r'"(.*)"', text)
    return quoted[1].replace('\\"', '"') if quoted else text
