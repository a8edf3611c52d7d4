"""Standard streams that were closed before the command began, as by `>&-`: one sentence, instead of a crash somewhere."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, NoReturn, cast

from crnnocr.errors import CrnnocrError


def open_closed_streams() -> None:
    """Put something in the place of streams that are closed.

    Stdin is empty, what goes to stderr is lost, and to print on stdout is an error. Their numbers are taken, too: a file that
    is opened later would get them, and with them what libraries print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    # Python has None for a closed stream, which its types do not say.
    streams = cast(Any, sys)
    streams.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115
    streams.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    streams.stdout = sys.stdout or _ClosedText()


class _ClosedBytes(io.RawIOBase):
    def write(self, data: object) -> NoReturn:
        raise CrnnocrError("stdout is closed, so there is nowhere to print to: redirect it to a file, or leave it open")


class _ClosedText(io.TextIOBase):
    buffer = _ClosedBytes()

    def write(self, text: str) -> NoReturn:
        self.buffer.write(text)
