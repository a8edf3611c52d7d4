"""Detection of the format in which a folder or file holds labeled images.

To add a format, write a module with `load` and add a row to `FORMATS`. `table.load` tells tables (.csv, .tsv,
.txt) apart by their first lines.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, TypeAlias

from natsort import natsorted

from crnnocr import images
from crnnocr.config import LabelConfig
from crnnocr.datasets import (
    Dataset,
    Sample,
    coco,
    cvat,
    file_names,
    hugging_face,
    icdar,
    imagefolder,
    json_file,
    lmdb_folder,
    ppocr_label,
    sidecar,
    table,
)
from crnnocr.datasets.groups import grouped
from crnnocr.datasets.image_index import SPLITS, ImageIndex
from crnnocr.datasets.issues import IN_TWO_SOURCES, UNLABELED_IMAGE, Issue, foreign_file, label_differs_from, merged, summary
from crnnocr.datasets.plausibility import checked
from crnnocr.datasets.regions import Region
from crnnocr.errors import ConfigError, DataError
from crnnocr.files import RealPaths


@dataclass(frozen=True)
class Format:
    """A format of labeled images."""

    name: str
    """Says in words what a folder of this format holds."""
    load: Callable[[Path, LabelConfig], Dataset | None]
    """Loads a label file, or a folder if there is none; returns None for a folder of another format."""
    label_files: tuple[str, ...] = ()
    """File names that show a folder to be of this format. The first format in `FORMATS` whose file is there is taken."""
    suffixes: frozenset[str] = frozenset()
    """Suffixes of further label files of this format."""
    is_list: bool = True
    """Whether the label file lists image files, so that a file that it does not name is unlabeled."""


FORMATS = (
    Format("an LMDB", lambda file, config: lmdb_folder.load(file.parent, config), (lmdb_folder.DATA_FILE,), is_list=False),
    Format("metadata.jsonl", imagefolder.load, (imagefolder.LABEL_FILE,), imagefolder.SUFFIXES),
    Format(
        "metadata.csv or one .csv, .tsv or .txt of paths and texts",
        table.load,
        ("metadata.csv", ppocr_label.LABEL_FILE),
        table.SUFFIXES,
    ),
    Format(
        "a .json of docTR, Label Studio, COCO or MMOCR",
        json_file.load,
        (json_file.LABEL_FILE, coco.LABEL_FILE),
        json_file.SUFFIXES,
    ),
    Format("an .xml of CVAT", cvat.load, (cvat.LABEL_FILE,), cvat.SUFFIXES),
    Format("parquet or arrow files", hugging_face.load, (), hugging_face.SUFFIXES, is_list=False),
    Format("parquet or arrow files", hugging_face.load_folder),
    Format("a .gt.txt beside each image", sidecar.load),
    Format("a .txt of boxes and texts beside each page", icdar.load_boxes),
    Format("a .txt of its text beside each image", lambda folder, config: _texts_of(folder, config)),
    Format("file names of trdg", file_names.load),
    Format("a folder of images for each character", lambda folder, _: file_names.load_folders(folder)),
)
"""All formats, in the order in which they are tried. A folder with a single table under any name comes last."""

_DETECTED = LabelConfig()
_ANNOTATIONS = "annotations"
"""The folder of COCO's label files, beside that of the images."""
_MAX_NAMED = 5
"""Data sets that an error names."""
_Owner: TypeAlias = tuple[Path, str]
"""The source that has an image first, and its label there."""


def label_file_names() -> list[str]:
    """Return the file names by which folders of the formats that list their images are recognized."""
    return [name for format in FORMATS if format.is_list for name in format.label_files]


def load_dataset(source: Path, config: LabelConfig = _DETECTED) -> Dataset:
    """Load the labeled images of a folder or label file.

    Raises:
        ConfigError: there is no column or folder that `config` names.
        DataError: there is not one usable sample; says what was found and what is expected.
    """
    if config.images is not None and not Path(config.images).is_dir():
        raise ConfigError("images", f"{config.images}: there is no such folder")
    if not source.exists():
        raise DataError(f"{source}: there is no such file or folder")
    dataset = _load_folder(source, config) if source.is_dir() else _load_file(source, config)
    dataset = checked(dataset)
    if source.is_dir():
        dataset = replace(dataset, issues=merged((*dataset.issues, *_foreign_files(source, dataset))))
    if not dataset.samples:
        reasons = "; ".join(summary(dataset.issues)) or "it holds no rows"
        raise DataError(f"{dataset.source}: no usable sample ({dataset.format}): {reasons}")
    return grouped(dataset, config.group, config.images) if config.group else dataset


def _foreign_files(folder: Path, dataset: Dataset) -> Iterator[Issue]:
    """An issue for each file in or below a folder whose format is not read, unless a label names it."""
    labeled = {str(sample.path) for sample in dataset.samples}
    for parent, _, names in os.walk(folder):
        for name in natsorted(name for name in names if images.foreign_name(name)):
            kind, path = images.foreign_name(name), Path(parent, name)
            if kind and str(path) not in labeled:
                yield foreign_file(kind.name, kind.fix).at(path.relative_to(folder))


def load_datasets(sources: Sequence[Path], config: LabelConfig = _DETECTED) -> tuple[Dataset, ...]:
    """Load the labeled images of several folders or label files, a data set each.

    An image that two sources share counts for the first one. It is an issue of the other, which may be left without
    samples; the issue says so if their labels differ.

    Raises as `load_dataset` does.
    """
    datasets = tuple(load_dataset(source, config) for source in sources)
    if len(datasets) == 1:
        return datasets
    paths = RealPaths()
    owners: dict[tuple[str, str, Region | None], _Owner] = {}
    disjoint: list[Dataset] = []
    for source, dataset in zip(sources, datasets, strict=True):
        keys = [(paths.of(sample.path), sample.entry, sample.region) for sample in dataset.samples]
        disjoint.append(_without(dataset, [owners.get(key) for key in keys]))
        for key, sample in zip(keys, dataset.samples, strict=True):
            owners.setdefault(key, (source, sample.text))
    return tuple(disjoint)


def _without(dataset: Dataset, owners: Sequence[_Owner | None]) -> Dataset:
    """Replace each sample that another source owns by an issue."""
    samples: list[Sample] = []
    issues: list[Issue] = []
    for sample, owner in zip(dataset.samples, owners, strict=True):
        if owner is None:
            samples.append(sample)
        else:
            issues.append(_owned(sample, *owner))
    return replace(dataset, samples=tuple(samples), issues=merged((*dataset.issues, *issues)))


def _owned(sample: Sample, source: Path, text: str) -> Issue:
    """The issue of a sample whose image another source has, labeled `text` there."""
    if text == sample.text:
        return IN_TWO_SOURCES.at(sample.path, f"{sample.name}, in {source}")
    return label_differs_from(source).at(sample.path, f"{sample.name}, {sample.text!r} and {text!r}")


def _load_folder(folder: Path, config: LabelConfig) -> Dataset:
    for name in (name for format in FORMATS for name in format.label_files):
        if (folder / name).is_file():
            return _load_from(folder, folder / name, config)
    if len(parts := [path for path in folder.iterdir() if path.name.lower() in SPLITS and sidecar.holds_labels(path)]) > 1:
        raise _ambiguous(folder, parts)
    for format in FORMATS:
        if not format.label_files and not format.suffixes and (dataset := format.load(folder, config)):
            return dataset
    return _load_only_file(folder, config) or _nothing_in(folder)


def _load_only_file(folder: Path, config: LabelConfig) -> Dataset | None:
    """Load the only label file of a folder, whatever its name. Returns None if there is none."""
    tables = _tables_in(folder)
    if label_file := _only(folder, [path for path in [*tables, *_others_in(folder)] if _lists_images(path)]):
        return _load_from(folder, label_file, config)
    if label_file := _only(folder, [path for path in _others_in(folder / _ANNOTATIONS) if _lists_images(path)]):
        return _load_from(folder, label_file, replace(config, images=config.images or str(folder)))
    if below := [path for path in _folders_below(folder) if _holds_labels(path)]:
        raise _ambiguous(folder, below)
    label_file = _only(folder, tables)
    return _load_from(folder, label_file, config) if label_file else None


def _nothing_in(folder: Path) -> NoReturn:
    count = len(ImageIndex(folder).images)
    holds = f"{count} images and no labels" if count else "no images"
    others = _passed_over(folder)
    hint = _label_error_hint(folder)
    if count and sidecar.holds_xml_boxes([folder / file for file in ImageIndex(folder).files(".xml")]):
        hint = f". The .xml files hold boxes (Pascal VOC), which do not say what is written there: {sidecar.CUT_OUT}"
    elif count and not hint:
        hint = _hint_beside(folder) or (
            "; or write a labels.csv there, with a line image,text for each, even if folders or file names tell the text"
        )
    raise DataError(f"{folder} holds {holds} in a known format{others}: expected {_expected()}{hint}")


def _texts_of(folder: Path, config: LabelConfig) -> Dataset | None:
    """Load the texts beside images, unless another file than a table lists these."""
    return None if any(map(_lists_images, _others_in(folder))) else sidecar.load_texts(folder, config)


def _hint_beside(folder: Path) -> str:
    """Mention labels of these images in the folder above, or in another one of it."""
    folder = folder.absolute()
    try:
        lists = [path for path in _tables_in(folder.parent) if table.lists_images(path) and _lists_from(path, folder)]
        others = [
            path for path in folder.parent.iterdir() if path.is_dir() and path != folder and sidecar.labels_of(folder, path)
        ]
    except (DataError, OSError):
        return ""
    return f". Their labels seem to be in {(lists or others)[0]}: name {folder.parent}" if lists or others else ""


def _lists_from(label_file: Path, folder: Path) -> bool:
    return any(sample.path.is_relative_to(folder) for sample in table.load(label_file).samples)


def _passed_over(folder: Path) -> str:
    """Files in or below a folder without labels that could be images in another format."""
    passed_over = images.PassedOver()
    for _, _, names in os.walk(folder):
        for name in filter(images.foreign_name, names):
            passed_over.add(name)
    return f" ({passed_over})" if passed_over else ""


def _load_file(path: Path, config: LabelConfig) -> Dataset:
    dataset = _format_of(path).load(path, config)
    assert dataset is not None
    return dataset


def _format_of(label_file: Path) -> Format:
    for format in FORMATS:
        if label_file.name in format.label_files or label_file.suffix.lower() in format.suffixes:
            return format
    raise DataError(f"{label_file} is not a label file: expected {_expected()}")


def _load_from(folder: Path, label_file: Path, config: LabelConfig) -> Dataset:
    """Load the label file of a folder, with an issue for each image in or below the folder that it does not list."""
    dataset = _load_file(label_file, config)
    if config.images is not None or not _format_of(label_file).is_list:
        return dataset
    paths = RealPaths()
    listed = {paths.of(sample.path) for sample in dataset.samples}
    listed |= {paths.of(Path(location.path)) for issue in dataset.issues for location in issue.locations}
    exported = ppocr_label.CROPS if label_file.name == ppocr_label.LABEL_FILE else ()
    images = (name for name in ImageIndex(folder).images if not name.startswith(exported))
    others = natsorted(name for name in images if paths.of(folder / name) not in listed)
    unlabeled = [UNLABELED_IMAGE.at(name) for name in others]
    return replace(dataset, issues=merged((*dataset.issues, *unlabeled)))


def _expected() -> str:
    *names, last = dict.fromkeys(format.name for format in FORMATS)
    return f"{', '.join(names)}, or {last}"


def _only(folder: Path, label_files: Sequence[Path]) -> Path | None:
    if len(label_files) > 1:
        names = ", ".join(path.name for path in label_files)
        raise DataError(f"{folder} holds several label files ({names}): name the one to read")
    return label_files[0] if label_files else None


def _ambiguous(folder: Path, found: Sequence[Path]) -> DataError:
    names = natsorted(str(path.relative_to(folder)) for path in found)
    named = ", ".join(names if len(names) <= _MAX_NAMED else [*names[:_MAX_NAMED], "…"])
    return DataError(f"{folder} has no labels of its own, but in folders below ({named}): name the ones to read")


def _tables_in(folder: Path) -> list[Path]:
    """The tables of a folder that may hold its labels. A list of label errors holds only some: it is read only if named."""
    return [path for path in _all_tables_in(folder) if not table.lists_label_errors(path)]


def _all_tables_in(folder: Path) -> list[Path]:
    return [path for path in _files_in(folder, table.SUFFIXES) if path.name != ppocr_label.STATE_FILE]


def _others_in(folder: Path) -> list[Path]:
    """The other files of a folder that may hold its labels."""
    return _files_in(folder, frozenset().union(*_HOLDS))


def _files_in(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in files if path.suffix.lower() in suffixes and path.is_file())


_HOLDS: dict[frozenset[str], Callable[[Path], bool]] = {
    json_file.SUFFIXES: json_file.holds_labels,
    imagefolder.SUFFIXES: imagefolder.holds_labels,
    cvat.SUFFIXES: cvat.holds_labels,
}


def _lists_images(label_file: Path) -> bool:
    """Whether a file holds labels of images, by what stands in it."""
    holds = (holds for suffixes, holds in _HOLDS.items() if label_file.suffix.lower() in suffixes)
    return next(holds, table.lists_images)(label_file)


def _label_error_hint(folder: Path) -> str:
    """Mention the list of suspected label errors in a folder without other labels."""
    lists = [path for path in _all_tables_in(folder) if table.lists_label_errors(path)]
    return f". {lists[0].name} lists suspected label errors: name {lists[0]} to read these labels alone" if lists else ""


def _folders_below(folder: Path) -> Iterator[Path]:
    for parent, names, _ in os.walk(folder):
        names[:] = [name for name in names if not name.startswith(".")]
        yield from (Path(parent, name) for name in names)


def _holds_labels(folder: Path) -> bool:
    """Whether a folder is a data set, or begins like one."""
    try:
        known = any((folder / name).is_file() for format in FORMATS for name in format.label_files)
        listed = any(map(_lists_images, [*_tables_in(folder), *_others_in(folder)]))
        named = file_names.load(folder, _DETECTED) is not None or file_names.load_folders(folder) is not None
        return known or listed or named or hugging_face.holds_labels(folder)
    except (DataError, OSError):
        return False
