"""Where the images of labels lie on disk: names of other machines, systems and spellings are matched with the files there.

Only files in one folder are ever found, its root. What a link in it points to is in it: links are followed. What a label names
elsewhere, by `..` or an absolute path, is not.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from crnnocr import images
from crnnocr.datasets.issues import AMBIGUOUS_IMAGE, BROKEN_LINK, IMAGE_OUTSIDE, MISSING_IMAGE, Issue
from crnnocr.files import FolderLinks, real_folder
from crnnocr.text.charset import nfc

SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval"})
"""Names of folders that are meant to be kept apart."""

_IMAGE_FOLDERS = ("images", "image", "imgs", "img", "crops")
"""Folders beside a label file that often hold its images and are not named in it."""

_MAX_NAMED = 3
"""Images that the message about an ambiguous name lists."""

_DRIVE = re.compile(r"[A-Za-z]:(?=[\\/])")
_SHARES = ("//", "\\\\")
"""Beginnings of paths on other machines."""
_UPLOADED = re.compile(r"[^-\w.]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Found(NamedTuple):
    """The image for a name, or the reason why there is none."""

    path: Path
    """The image, or where it would be."""
    issue: Issue | None = None
    """The reason why it cannot be used."""
    is_literal: bool = True
    """Whether the name is that path in the root, up to its encoding."""
    detail: str = ""
    """More about the issue."""


class ImageIndex:
    """The images in a folder and the folders below it. Each folder is listed once, when it is first needed."""

    def __init__(self, root: Path, below: Sequence[str] = ("",)) -> None:
        """Make an index.

        Args:
            root: the folder that no name leads out of.
            below: where in it names begin; the first folder that has an image counts.
        """
        self.root = root
        self._below = below
        self._root = str(root)
        self._real = real_folder(root)
        self._listings: dict[str, _Listing] = {}
        self._literal_folders: dict[str, list[str]] = {}
        self._near_folders: dict[str, list[list[str]]] = {}
        self._elsewhere: dict[str, bool] = {}

    def find(self, name: str) -> Found:
        """Find the image that a label names.

        A file by that name counts first. Else it is looked for as other systems write paths, with backslashes or as a URL, in
        another case or Unicode form, with another image suffix, under the end of its path, and under its name alone if only one
        file has it. Several that fit are an issue, as is a name that leads elsewhere.
        """
        spellings: list[tuple[str, str]] = []
        for folder, file in map(_split, _spellings(name)):
            for inside in self._literal(folder):
                if os.path.isfile(f"{self._root}/{_join(inside, file)}"):  # noqa: PTH113 (False for any name)
                    return Found(self.root.joinpath(inside, file))
            spellings.append((folder, file))
        path = self.root / self._below[0] / name
        if any(self._is_elsewhere(folder, file) for folder, file in spellings):
            return Found(path, IMAGE_OUTSIDE)
        for folder, file in spellings:
            if found := self._search(folder, file):
                if len(found) > 1:
                    several = ", ".join([*sorted(found)[:_MAX_NAMED], *["…"] * (len(found) > _MAX_NAMED)])
                    return Found(path, AMBIGUOUS_IMAGE, is_literal=False, detail=several)
                literal = (nfc(_join(inside, file)) for inside in self._literal(folder))
                return Found(self.root / found[0], is_literal=nfc(found[0]) in literal)
        if os.path.islink(path):  # noqa: PTH114 (False for any name)
            return Found(path, BROKEN_LINK)
        return Found(path, MISSING_IMAGE if any(self._literal(folder) for folder, _ in spellings) else IMAGE_OUTSIDE)

    @cached_property
    def images(self) -> list[str]:
        """The paths of all images from the root, in no particular order. Hidden files and folders do not count."""
        return [_join(folder, name) for folder in self._folders for name in self._listing(folder).image_names()]

    def files(self, ending: str) -> list[str]:
        """The paths of all files with an ending (in any case) that is no image's, in no particular order."""
        return [
            _join(folder, name)
            for folder in self._folders
            for name in self._listing(folder).others
            if name.lower().endswith(ending)
        ]

    def _literal(self, folder: str) -> list[str]:
        """The folders from the root that the folder of a name is as it stands; none if it leads out of the root."""
        if folder not in self._literal_folders:
            self._literal_folders[folder] = list(self._resolved(folder))
        return self._literal_folders[folder]

    def _resolved(self, folder: str) -> Iterator[str]:
        if Path(folder).is_absolute():
            try:
                real = "" if folder.startswith(_SHARES) else real_folder(folder)
            except (OSError, ValueError):  # no folder can have this name
                return
            if real.startswith(self._real):
                yield real.removeprefix(self._real).replace(os.sep, "/").rstrip("/")
        elif not (folder.startswith("/") or _DRIVE.match(folder)):
            for below in self._below:
                inside = posixpath.normpath(f"{below}/{folder}" if below else folder or ".")
                if inside != ".." and not inside.startswith("../"):
                    yield "" if inside == "." else inside

    def _is_elsewhere(self, folder: str, file: str) -> bool:
        """Whether a name leads out of the root to something that is there. Network shares are not asked."""
        if self._literal(folder) or folder.startswith(_SHARES):
            return False
        there = os.path.join(self._root, self._below[0], folder)  # noqa: PTH118
        if folder not in self._elsewhere:
            self._elsewhere[folder] = os.path.isdir(there)  # noqa: PTH112 (False for any name)
        return self._elsewhere[folder] and os.path.lexists(f"{there}{file}")

    def _search(self, folder: str, file: str) -> list[str]:
        """The images that a name fits best, in the nearest folders that have any."""
        if folder not in self._near_folders:
            self._near_folders[folder] = list(self._near(folder))
        for folders in self._near_folders[folder]:
            if found := [_join(each, image) for each in folders for image in self._listing(each).images_named(file)]:
                return _best(found, file)
        return [] if _parts(folder) else _best(self._by_name.get(_folded_stem(file), []), file) or self._by_upload.get(file, [])

    def _near(self, folder: str) -> Iterator[list[str]]:
        """The folders that the folder of a name may be, the nearest first: by the longest part of its path, at the root, in a
        folder of images there, or anywhere.
        """
        parts = _parts(folder)
        begins_here = bool(parts and self._literal(folder) and self._listing("").folders_named(parts[0]))
        for start in range(1 if begins_here else len(parts) + 1):
            tail = parts[start:]
            for beginning in dict.fromkeys((*self._below, "", *self._image_folders)):
                yield self._consistent(self._under(beginning, tail), parts)
            if tail and not begins_here:
                folders = self._by_last_name.get(folded(tail[-1]), [])
                ending = "/" + "/".join(map(folded, tail))
                yield self._consistent([each for each in folders if f"/{folded(each)}".endswith(ending)], parts)

    def _under(self, folder: str, parts: Sequence[str]) -> list[str]:
        folders = [folder]
        for part in parts:
            folders = [_join(parent, name) for parent in folders for name in self._listing(parent).folders_named(part)]
        return folders

    def _consistent(self, folders: list[str], parts: Sequence[str]) -> list[str]:
        """Those of `folders` that are not in another split than a path is."""
        named = SPLITS.intersection(map(str.lower, parts))
        if not named:
            return folders
        here = SPLITS.intersection([self.root.name.lower()])
        splits = (here.union(SPLITS.intersection(each.lower().split("/"))) for each in folders)
        return [folder for folder, there in zip(folders, splits, strict=True) if not there or there & named]

    @cached_property
    def _image_folders(self) -> list[str]:
        return [folder for name in _IMAGE_FOLDERS for folder in self._listing("").folders_named(name)]

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self.images:
            found.setdefault(_folded_stem(posixpath.basename(path)), []).append(path)
        return found

    @cached_property
    def _by_upload(self) -> dict[str, list[str]]:
        """The images by the names that Django, and so Label Studio, gives to uploaded files, if these are others."""
        found: dict[str, list[str]] = {}
        for path in self.images:
            name = posixpath.basename(path)
            uploaded = _UPLOADED.sub("", nfc(name).replace(" ", "_"))
            if uploaded != name:
                found.setdefault(uploaded, []).append(path)
        return found

    @cached_property
    def _by_last_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for folder in self._folders:
            found.setdefault(folded(posixpath.basename(folder)), []).append(folder)
        return found

    @cached_property
    def _folders(self) -> list[str]:
        """The root and the folders below it. One that is linked from elsewhere counts once."""
        folders, links = [""], FolderLinks(self.root)
        for folder in folders:  # which grows
            listing = self._listing(folder)
            for name in listing.folder_names():
                path = _join(folder, name)
                if name not in listing.links or links.lead_elsewhere(f"{self._root}/{path}"):
                    folders.append(path)
        return folders

    def _listing(self, folder: str) -> _Listing:
        if folder not in self._listings:
            self._listings[folder] = _Listing(f"{self._root}/{folder}")
        return self._listings[folder]


class _Listing:
    """The contents of a folder. Names are found in any case and Unicode form, those of images with any suffix."""

    def __init__(self, folder: str) -> None:
        self._folders: dict[str, list[str]] = {}
        self._images: dict[str, list[str]] = {}
        self.links: set[str] = set()
        """Names of folders that are links."""
        self.others: list[str] = []
        """Names of files that are no images."""
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._add(entry)
        except (OSError, ValueError):  # no folder, or one that cannot be read
            pass

    def _add(self, entry: os.DirEntry[str]) -> None:
        if images.is_image_name(entry.name) and entry.is_file():
            self._images.setdefault(_folded_stem(entry.name), []).append(entry.name)
        elif entry.name.startswith("."):
            return
        elif entry.is_dir():
            self._folders.setdefault(folded(entry.name), []).append(entry.name)
            if entry.is_symlink():
                self.links.add(entry.name)
        else:
            self.others.append(entry.name)

    def folder_names(self) -> Iterator[str]:
        return chain.from_iterable(self._folders.values())

    def image_names(self) -> Iterator[str]:
        return chain.from_iterable(self._images.values())

    def folders_named(self, name: str) -> list[str]:
        """The folders of a name: the one with exactly this name, else all that differ in case and Unicode form alone."""
        found = self._folders.get(folded(name), [])
        return [name] if name in found else [each for each in found if nfc(each) == nfc(name)] or found

    def images_named(self, name: str) -> list[str]:
        """The images whose names differ in case, Unicode form and suffix alone."""
        return self._images.get(_folded_stem(name), [])


def _best(found: list[str], name: str) -> list[str]:
    """Those of `found` that are nearest to a name: the same except for Unicode form, the suffix's case, case, or the suffix."""
    if len(found) == 1:
        return found
    for fits in (
        lambda file: file == name,
        lambda file: nfc(file) == nfc(name),
        lambda file: folded(file) == folded(name) and nfc(_stem(file)) == nfc(_stem(name)),
        lambda file: folded(file) == folded(name),
        lambda file: nfc(_stem(file)) == nfc(_stem(name)),
    ):
        if best := [path for path in found if fits(posixpath.basename(path))]:
            return best
    return found


def _spellings(name: str) -> Iterator[str]:
    """A name, and what it may be: a path of Windows, a URL, a path with escapes."""
    yield name
    if "\\" in name:
        yield name.replace("\\", "/")
    if _URL.match(name) or "?" in name:
        try:
            url = urlsplit(name)
            paths = (*parse_qs(url.query).get("d", ()), unquote(url.path))  # Label Studio's local files are ?d=path
            paths = (*paths, *(path.replace("\\", "/") for path in paths if "\\" in path))
        except ValueError:  # no address at all
            return
        yield from filter(None, paths)
    elif "%" in name:
        yield unquote(name)


def _split(name: str) -> tuple[str, str]:
    """The folder of a path, with its last slash, and the file's name."""
    end = name.rfind("/") + 1
    return name[:end], name[end:]


def _parts(folder: str) -> list[str]:
    """The names in a path, without the drive and what leads up."""
    return [part for part in posixpath.normpath(_DRIVE.sub("", folder, count=1)).split("/") if part not in ("", "..", ".")]


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def folded(name: str) -> str:
    """A file's name as it is compared without regard to case and Unicode form."""
    return name.lower() if name.isascii() else nfc(nfc(name).casefold())


def _folded_stem(name: str) -> str:
    return folded(_stem(name))


def _stem(name: str) -> str:
    """A name without an image's suffix."""
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in images.SUFFIXES else name
