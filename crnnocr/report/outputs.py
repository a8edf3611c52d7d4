"""Files that an evaluation is to write: whether they may be, and can be, before hours of reading end in an error."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryFile

from crnnocr.errors import UsageError
from crnnocr.files import cannot_write, is_device
from crnnocr.report.page import is_page

_PAGES = (".html", ".htm")


def check(page: Path | None, suspects: Path | None) -> None:
    """Look at the places of a page and of a list of doubtful labels, if they are asked for.

    A page of an earlier evaluation is replaced, and nothing else is: neither what others have written, nor a list, in which
    labels may have been mended.

    Raises:
        UsageError: there is something else, or no folder for it, or both are one file, or a page is not called one.
        CrnnocrError: a place cannot be written.
    """
    if page and suspects and not is_device(page) and os.path.realpath(page) == os.path.realpath(suspects):
        raise UsageError(f"--report and --suspect-labels are both {page}: name two files")
    if page:
        _check_place("--report", page)
        if _holds_something(page) and not is_page(page):
            raise UsageError(f"--report {page} is there already, and no page of eval's: name another file")
        if page.suffix.lower() not in _PAGES and not is_device(page):
            raise UsageError(f"--report {page} is a page for browsers: call it {page.stem or 'report'}.html")
    if suspects:
        _check_place("--suspect-labels", suspects)
        if _holds_something(suspects):
            raise UsageError(
                f"--suspect-labels {suspects} is there already, and labels in it may have been mended: "
                "name another file, or move this one away"
            )


def _holds_something(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _check_place(option: str, path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder: name a file")
    if is_device(path):
        return
    if not path.parent.exists():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}: make it, or name another")
    try:
        with TemporaryFile(dir=path.resolve().parent):
            pass
    except OSError as error:
        raise cannot_write(path, error) from error
