"""Which label belongs to which image, if each image has a label file of its own: beside it, or in a tree of their own."""

from __future__ import annotations

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from crnnocr.datasets.image_index import SPLITS, folded
from crnnocr.text.charset import nfc

_Key: TypeAlias = Callable[[str], str]
_Paths: TypeAlias = dict[tuple[str, str], list[str]]
"""The paths in a folder, by what is compared of their names."""


class Pairs(NamedTuple):
    """Images and their labels, by paths in their folders."""

    labels: Mapping[str, str]
    """The label of each image that has one."""
    ambiguous: Mapping[str, Sequence[str]]
    """The images that each further label could belong to."""


def pair(images: Sequence[str], labels: Iterable[str], ending: str) -> Pairs:
    """Find the label of each image by the path without its ending.

    A label beside the image counts first. Else it may lie in another tree of folders, as `gt/train/a.gt.txt` for
    `images/train/a.png`: if there is no image in its folder and no label in the image's, and one name in their paths differs.

    Args:
        images: paths from the folder; of several with the same name, the first has the label.
        labels: paths from the folder.
        ending: of the labels.
    """
    left = set(labels)
    label_folders = set(map(posixpath.dirname, left))
    found: dict[str, str] = {}
    for image_key, label_key in _SAME_NAME:
        beside = _by_name(left, label_key, ending)
        for image in images:
            place = posixpath.dirname(image), image_key(posixpath.basename(image))
            if image not in found and len(beside.get(place, ())) == 1:
                found[image] = beside.pop(place)[0]
                left.remove(found[image])
    unpaired = [image for image in images if image not in found]
    image_folders = set(map(posixpath.dirname, images))
    trees = _trees({posixpath.dirname(image) for image in unpaired} - label_folders)
    candidates: dict[str, list[str]] = {}
    for image_key, label_key in _SAME_NAME:
        elsewhere = _by_name(unpaired, image_key)
        for label in left - candidates.keys():
            folder, name = posixpath.split(label)
            near = trees(folder) if folder not in image_folders else ()
            stem = label_key(name[: len(name) - len(ending)])
            if fitting := [image for each in near for image in elsewhere.get((each, stem), ())]:
                candidates[label] = fitting
    wanted = Counter(image for fitting in candidates.values() for image in fitting)
    sure = {label: fitting[0] for label, fitting in candidates.items() if len(fitting) == 1 and wanted[fitting[0]] == 1}
    found.update((image, label) for label, image in sure.items())
    return Pairs(found, {label: fitting for label, fitting in candidates.items() if label not in sure})


def _by_name(paths: Iterable[str], key: _Key, ending: str = "") -> _Paths:
    found = defaultdict[tuple[str, str], list[str]](list)
    for path in paths:
        folder, name = posixpath.split(path)
        found[folder, key(name[: len(name) - len(ending)])].append(path)
    return dict(found)


def _trees(folders: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a function that gives those of `folders` whose path has one other, one more or one less name than a folder's."""
    found = defaultdict[str, set[str]](set)
    for folder in folders:
        for rest in _without_one(folder):
            found[rest].add(folder)

    def near(folder: str) -> list[str]:
        named = SPLITS.intersection(folder.lower().split("/"))
        near = {each for rest in _without_one(folder) for each in found[rest]}
        return sorted(each for each in near if SPLITS.intersection(each.lower().split("/")) == named)

    return near


def _without_one(folder: str) -> Iterator[str]:
    """A path, and what is left of it without one of its names."""
    yield folder
    parts = folder.split("/")
    for i in range(len(parts) if folder else 0):
        yield "/".join(parts[:i] + parts[i + 1 :])


def _stem(name: str) -> str:
    return posixpath.splitext(name)[0]


def _first_stem(name: str) -> str:
    """The name up to its first dot: ocropus writes `x.bin.png` and `x.nrm.png` for `x.gt.txt`."""
    return name.split(".", 1)[0]


def _without_prefix(label: str) -> str:
    """ICDAR writes `gt_img_1.txt` for `img_1.jpg`."""
    return folded(re.sub("^gt[_-]", "", label, flags=re.IGNORECASE))


_SAME_NAME: tuple[tuple[_Key, _Key], ...] = (
    (_stem, str),
    (lambda image: nfc(_stem(image)), nfc),
    (lambda image: folded(_stem(image)), folded),
    (folded, folded),  # a.png.gt.txt
    (lambda image: folded(_first_stem(image)), folded),
    (lambda image: folded(_stem(image)), _without_prefix),
)
"""Keys of an image's name, and of a label's without its ending, that must be equal, the strictest first."""
