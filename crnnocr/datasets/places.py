"""Where paths lead, links followed: what tells that two paths are one file, and that a file lies in a folder."""

from __future__ import annotations

import os
from pathlib import Path


class Places:
    """Finds where paths lead. Each folder is looked up once, for a million pictures may lie in it."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def of(self, path: Path) -> str:
        """The absolute path of a file, all links followed. A name that no file can have is left as it is."""
        folder, name = os.path.split(path)
        try:
            if name in ("", os.pardir) or path.is_symlink():
                return os.path.realpath(path)
            if folder not in self._folders:
                self._folders[folder] = os.path.realpath(folder).rstrip(os.sep)
        except (OSError, ValueError):
            return str(path)
        return f"{self._folders[folder]}{os.sep}{name}"
