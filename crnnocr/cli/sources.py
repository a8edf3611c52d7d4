"""The images that a command line names: files, folders, globs, lists, standard input; and labeled data sets."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator, Sequence
from glob import iglob
from io import RawIOBase
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from crnnocr.cli import console
from crnnocr.errors import DataError, UsageError
from crnnocr.files import FolderLinks
from crnnocr.formatting import plural

if TYPE_CHECKING:
    from crnnocr.config import LabelConfig
    from crnnocr.datasets import Dataset
    from crnnocr.datasets.issues import Issue
    from crnnocr.images import PassedOver

Readable: TypeAlias = RawIOBase | BinaryIO

_MAX_NATURAL_SORT = 100_000
"""Images of a folder up to which 9 comes before 10: for a million of them that would take too much memory."""

_MAX_WALKED = 100
"""Folders that are searched for one image, to tell whether images are passed over."""


def load_labeled(data: Sequence[Path], config: LabelConfig) -> tuple[Dataset, ...]:
    """Load folders of labeled images or label files, and tell how many images each has and which were left out."""
    from crnnocr.datasets.detection import load_datasets

    datasets = load_datasets(data, config)
    for source, dataset in zip(data, datasets, strict=True):
        console.info(f"{source}: {plural(len(dataset.samples), 'labeled image')} ({dataset.format})")
        _warn_of_issues(dataset.issues)
    return datasets


def _warn_of_issues(issues: Sequence[Issue]) -> None:
    """Warn of what was left out of a data set or is doubtful in it, with --verbose of each sample that was left out."""
    from crnnocr.datasets.issues import Severity, summary

    for line in (*summary(issues), *(str(issue) for issue in issues if issue.severity is Severity.WARNING)):
        console.warn(console.spell(line))
    for issue in issues:
        for location in issue.locations if issue.severity is Severity.EXCLUDED else ():
            console.verbose(f"  {location.detail}: {issue.message}")


def named(arguments: list[str], files_from: str | None, recursive: bool = False, separator: bytes = b"\n") -> Iterator[str]:
    """The path of each image, in order; `-` stands for the bytes on stdin.

    Args:
        arguments: files, folders, globs, or `-`.
        files_from: a list of more of them, or `-` for one on stdin; with neither, stdin is a list.
        recursive: take the images in folders below a folder too.
        separator: separates the paths of a list.

    Raises:
        UsageError: nothing is named, or stdin is named twice.
        DataError: a folder or a glob has no images.
    """
    if not arguments and files_from is None:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError("name images, folders or globs, or pipe in a list of paths; see crnnocr predict --help")
        files_from = "-"
    if arguments.count("-") + (files_from == "-") > 1:
        raise UsageError("stdin can be read only once: as one image (-), or as a list (--files-from -)")
    found = [_expanded(argument, recursive) for argument in arguments]
    return chain(*found) if files_from is None else _chained(chain(*found), files_from, separator)


def is_file(argument: str) -> bool:
    """Whether an argument stands for one image alone."""
    path = Path(argument)
    return argument == "-" or path.is_file() or not (path.is_dir() or any(c in argument for c in "*?["))


def shard(names: Iterator[str], which: str | None) -> Iterator[str]:
    """The part `i/n` of the images: the i-th, the one n later, and so on. Raises `UsageError` if `which` is no such part."""
    if which is None:
        return names
    number, _, count = which.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UsageError(f"--shard {which}: write i/n, the i-th of n parts, such as 1/8 to 8/8")
    return islice(names, int(number) - 1, None, int(count))


def _expanded(argument: str, recursive: bool) -> list[str]:
    """The images that one argument names: itself, those of a folder in natural order, or those that a glob finds."""
    from crnnocr.images import PassedOver

    path = Path(argument)
    if path.is_dir():
        passed_over = PassedOver()
        found = list(_in_folder(str(path), recursive, passed_over, FolderLinks(path)))
        if not found:
            below = "" if recursive else " (--recursive looks into the folders below)"
            raise DataError(f"{argument} holds no images{below}{f'; {passed_over}' if passed_over else ''}")
        if passed_over:
            (console.warn if passed_over.may_hold_text else console.info)(f"{argument}: {passed_over}")
        if passed_over.folders:
            folders = plural(passed_over.folders, "folder below with images is", "folders below with images are")
            console.info(f"{argument}: {folders} passed over (--recursive)")
        return _sorted(found)
    if not path.exists() and any(c in argument for c in "*?["):
        found = [name for name in iglob(argument, recursive=True) if Path(name).is_file()]
        if not found:
            raise DataError(f"no file fits {argument}")
        return _sorted(found)
    return [argument]


def _in_folder(folder: str, recursive: bool, passed_over: PassedOver, links: FolderLinks) -> Iterator[str]:
    """The images in a folder, as strings, of which a million take little memory; what is passed over is counted."""
    from crnnocr.images import is_image_name

    with os.scandir(folder) as entries:
        for entry in entries:
            path = entry.name if folder == "." else entry.path
            if entry.is_dir():
                if recursive and not entry.name.startswith(".") and (not entry.is_symlink() or links.lead_elsewhere(path)):
                    yield from _in_folder(path, recursive, passed_over, links)
                elif not recursive and _holds_images(path) and (not entry.is_symlink() or links.lead_elsewhere(path)):
                    passed_over.folders += 1
            elif not entry.is_file():
                if entry.is_symlink() and is_image_name(entry.name):
                    passed_over.add_broken_link()
            elif is_image_name(entry.name):
                yield path
            else:
                passed_over.add(entry.name)


def _holds_images(folder: str) -> bool:
    """Whether one of the first folders in and below a folder holds an image."""
    from crnnocr.images import is_image_name

    walked = islice(os.walk(folder), _MAX_WALKED)
    return not Path(folder).name.startswith(".") and any(is_image_name(name) for _, _, names in walked for name in names)


def _sorted(names: list[str]) -> list[str]:
    from natsort import natsorted

    return natsorted(names) if len(names) <= _MAX_NATURAL_SORT else sorted(names)


def _chained(names: Iterator[str], files_from: str, separator: bytes) -> Iterator[str]:
    """The images of the arguments, then those of the list, opened at once to report a missing file before any image."""
    try:
        stream = _unbuffered_stdin() if files_from == "-" else Path(files_from).open("rb", buffering=0)  # noqa: SIM115 (_listed)
    except OSError as error:
        raise UsageError(f"cannot read --files-from {files_from}: {error.strerror}") from error
    return chain(names, _listed(stream, separator))


def _unbuffered_stdin() -> Readable:
    """Standard input without a buffer: it gives the bytes there are, and a thread that waits holds no lock at the end."""
    try:
        return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
    except (OSError, ValueError):  # stdin is no file of the system
        return sys.stdin.buffer


def _listed(stream: Readable, separator: bytes) -> Iterator[str]:
    """The paths of a list. Empty ones are skipped, and a file called - is not taken for stdin."""
    with stream:
        for line in _split(stream, separator):
            if separator == b"\n" and b"\0" in line:
                raise UsageError("the list of paths holds NUL: give --null if paths end in it, - for one image")
            if name := os.fsdecode(line.rstrip(b"\r") if separator == b"\n" else line):
                yield os.path.join(".", name) if name == "-" else name  # noqa: PTH118 (a Path drops the dot)


def _split(stream: Readable, separator: bytes) -> Iterator[bytes]:
    rest = b""
    is_first = True
    while data := stream.read(2**16):
        if is_first:
            data, is_first = data.removeprefix(codecs.BOM_UTF8), False
        *whole, rest = (rest + data).split(separator)
        yield from whole
    if rest:
        yield rest
