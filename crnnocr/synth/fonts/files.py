"""Where font files come from: trdg, installed font packages, a folder of the user's, the system."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path

from crnnocr.errors import UsageError
from crnnocr.synth import trdg_adapter

SUFFIXES = (".ttf", ".otf", ".ttc")
"""Ends of the names of font files."""


def shipped() -> tuple[Path, ...]:
    """Trdg's openly licensed files and those of every installed package `fontpkg-…`, in the same order everywhere."""
    return (*trdg_adapter.open_font_files(), *(path for module in packages() for path in _of_package(module)))


def packages() -> list[str]:
    """The modules of the installed packages `fontpkg-…`."""
    return sorted({entry.module for entry in entry_points(group="fontpkg.family")})


def in_folder(folder: Path) -> tuple[Path, ...]:
    """The font files in a folder and the folders in it, by name. Raises `UsageError` where it is not there."""
    if not folder.is_dir():
        raise UsageError(f"--fonts {folder}: there is no such folder")
    return _below(folder)


def of_system() -> tuple[Path, ...]:
    """The font files of this system, by name."""
    folders = _system_folders(sys.platform, os.environ, Path.home())
    return tuple(dict.fromkeys(path for folder in folders for path in _below(folder)))


def _below(folder: Path) -> tuple[Path, ...]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return tuple(sorted(found, key=lambda path: path.relative_to(folder).as_posix()))


def _of_package(module: str) -> tuple[Path, ...]:
    spec = importlib.util.find_spec(module)  # of a top-level name: nothing is imported
    folders = spec.submodule_search_locations if spec else None
    return tuple(path for folder in folders or () for path in _below(Path(folder) / "files"))


def _system_folders(platform: str, environ: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    if platform == "win32":
        windows = Path(environ.get("WINDIR", r"C:\Windows"))
        local = Path(environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
        return (windows / "Fonts", local / "Microsoft" / "Windows" / "Fonts")
    if platform == "darwin":
        return (home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts"))
    data = environ.get("XDG_DATA_HOME") or home / ".local/share"
    shared = environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return (Path(data) / "fonts", home / ".fonts", *(Path(folder) / "fonts" for folder in shared.split(":") if folder))
