"""ICDAR's Robust Reading competitions: lists of words (`word_1.png, "text"`), and boxes of a page and their texts.

The boxes of `img_1.jpg` stand in `gt_img_1.txt`. SROIE and CVAT's export for ICDAR have them too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from natsort import natsorted

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, regions
from crnnocr.datasets.image_index import ImageIndex
from crnnocr.datasets.issues import BOX_WITHOUT_AREA, BOX_WITHOUT_TEXT, LABEL_WITHOUT_IMAGE, UNLABELED_IMAGE, Issue
from crnnocr.datasets.label_file import LabelRecord, broken_row, dataset_of, numbered_lines
from crnnocr.datasets.pairing import pair
from crnnocr.errors import DataError
from crnnocr.files import read_lines, read_text

BOXES_ENDING = ".txt"

_WORD = re.compile(r'(?P<name>[^,"]+), +"(?P<text>.*)"')
# ICDAR writes \" for a quote; files by other hands have "" there, or the bare quote.
_QUOTE = re.compile(r'\\(["\\])|"(")')

_NUMBER = r"-?\d+(?:\.\d+)?"
_BOX = re.compile(
    rf"(?P<corners>{_NUMBER}(?:,\s*{_NUMBER}){{7}}(?:(?:,\s*{_NUMBER}){{4}}(?:(?:,\s*{_NUMBER}){{2}})*)?),(?P<text>.*)"
    # 2015, MLT, SROIE; polygons as in ArT
    rf'|(?P<box>{_NUMBER}(?:(?:,\s*|\s+){_NUMBER}){{3}})(?:,\s*|\s+)"(?P<quoted>.*)"'  # 2013
)
_SCRIPT = re.compile("(?:Arabic|Bangla|Chinese|Hindi|Japanese|Korean|Latin|Mixed|None|Symbols),")
"""MLT has one of these before the text."""
_CHECKED = 5
"""Label files whose first lines say whether all are boxes."""


def accepts(line: str) -> bool:
    """Whether a line is an image's name and its text."""
    return _WORD.fullmatch(line.strip()) is not None


def load(label_file: Path, content: str, config: LabelConfig) -> Dataset:
    """Load a label file with this content. Raises `DataError`, naming a line, if at least half are of another format."""
    return dataset_of(label_file, 'ICDAR, path, "text"', _words(label_file, content), config)


def _words(label_file: Path, content: str) -> Iterator[LabelRecord | Issue]:
    for number, line in numbered_lines(content):
        word = _WORD.fullmatch(line.strip())
        if word is None:
            why = f'is not a path and a text in quotes, as in word_1.png, "text": {line!r}'
            yield broken_row(label_file, number, why)
        else:
            yield LabelRecord(number, word["name"].strip(), _QUOTE.sub(lambda quote: quote[1] or quote[2], word["text"]))


def is_box(line: str) -> bool:
    """Whether a line is a box and its text."""
    return _BOX.fullmatch(line.strip()) is not None


def load_boxes(folder: Path, config: LabelConfig) -> Dataset | None:
    """Load a folder of pages and their label files, in natural order. Returns None if there are none.

    Raises `DataError`, naming a line, if at least half are of another format.
    """
    labels = ImageIndex(folder).files(BOXES_ENDING)
    images = natsorted(ImageIndex(Path(config.images or folder)).images) if labels else []
    pairs = pair(images, natsorted(labels), BOXES_ENDING).labels if images else {}
    if not pairs or not all(_begins(folder / label) for label in list(pairs.values())[:_CHECKED]):
        return None
    issues = [UNLABELED_IMAGE.at(image) for image in images if image not in pairs]
    issues += [
        LABEL_WITHOUT_IMAGE.at(label) for label in natsorted(set(labels) - set(pairs.values())) if _begins(folder / label)
    ]
    records = (record for image in images if image in pairs for record in _boxes(folder, image, pairs[image]))
    found = dataset_of(folder / BOXES_ENDING, "ICDAR, boxes in pages", records, config, issues=issues)
    return Dataset(folder, found.format, found.samples, found.issues)


def _begins(label_file: Path) -> bool:
    """Whether the first line of a file is a box."""
    try:
        return is_box(next((line for _, line in read_lines(label_file) if line.strip()), ""))
    except DataError:
        return False


def _boxes(folder: Path, image: str, label: str) -> Iterator[LabelRecord | Issue]:
    for number, line in numbered_lines(read_text(folder / label)):
        found = _BOX.fullmatch(line.strip())
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
