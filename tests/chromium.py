"""Headless Chromium, driven through its own pipe: pages are opened, given files, and asked what they show."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
"""Its path; None if it is not installed."""

_PATIENCE = 60.0


class Chromium:
    """A browser with one page."""

    def __init__(self, profile: Path) -> None:
        assert PROGRAM
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        # Away from 3 and 4, which the browser reads from and writes to.
        given = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 20) for descriptor in (theirs_in, theirs_out)]
        arguments = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={profile}")
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{given[0]} 4>&{given[1]}', PROGRAM, *arguments]
        self._process = subprocess.Popen(command, pass_fds=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for descriptor in (theirs_in, theirs_out, *given):
            os.close(descriptor)
        self._reader, self._writer = os.fdopen(ours_in, "rb"), os.fdopen(ours_out, "wb", buffering=0)
        self._last, self._session = 0, ""
        self.requests: list[str] = []
        """Addresses that the page has asked for."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Network.enable")
        self.call("Page.enable")

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()
        self._reader.close()
        self._process.terminate()
        self._process.wait(timeout=20)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the DevTools protocol, and its result."""
        self._last += 1
        session = {"sessionId": self._session} if self._session else {}
        self._writer.write(json.dumps({"id": self._last, "method": method, "params": params, **session}).encode() + b"\0")
        while True:
            message = json.loads(self._message())
            if message.get("method") == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            if message.get("id") == self._last:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def open(self, address: str, ready: str) -> None:
        """Open a page and wait until `ready` holds in it."""
        self.call("Page.navigate", url=address)
        self.wait(ready)

    def wait(self, condition: str) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + _PATIENCE
        while not self.evaluate(condition):
            assert time.monotonic() < until, f"{condition} is not true: {self.evaluate('document.body?.innerText')}"
            time.sleep(0.05)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        given = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in given, given
        return given["result"].get("value")

    def choose(self, selector: str, files: Sequence[Path]) -> None:
        """Choose files in an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file.resolve()) for file in files])

    def readings(self, files: Sequence[Path]) -> list[dict[str, Any]]:
        """Return the texts that a page of an export recognizes in files, in their order."""
        self.choose("#files", files)
        return self.rows(len(files))

    def rows(self, count: int) -> list[dict[str, Any]]:
        """Return the contents of the rows of such a page, the oldest first, once there are so many, and remove them."""
        self.wait(f"document.querySelectorAll('li[data-reading]').length === {count}")
        rows = self.evaluate("Array.from(document.querySelectorAll('li'), (row) => row.dataset.reading).reverse()")
        self.evaluate("document.getElementById('readings').replaceChildren()")
        return [json.loads(row) for row in rows]

    def screenshot(self) -> str:
        """The page as PNG, in base64."""
        return str(self.call("Page.captureScreenshot", format="png")["data"])

    def _message(self) -> bytes:
        parts = bytearray()
        while (byte := self._reader.read(1)) != b"\0":
            assert byte, "the browser has ended"
            parts += byte
        return bytes(parts)
