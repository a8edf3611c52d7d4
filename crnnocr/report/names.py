"""Names of files as they can be written in Unicode."""

from __future__ import annotations

import os


def shown(name: str) -> str:
    r"""A name as it can be shown: what of it is not UTF-8 as escapes, such as `\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
