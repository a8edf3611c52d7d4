"""Fetching a file over https into the cache directory: the very file that was meant, or none. Imports no torch.

A file is known by its SHA-256. What an interrupted download has brought stays beside it as `SHA256.part`, and the next one
goes on from there.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from crnnocr import __version__
from crnnocr.errors import ConfigError, CrnnocrError, UsageError
from crnnocr.files import cache_directory, lock, sha256_of, write_error

MAX_BYTES = 2 * 10**9
"""No model is larger."""

_SCHEMES = ("https",)
_SILENCE = 30.0
"""Seconds without a byte after which a server is given up."""
_CHUNK = 1 << 18
_GOES_ON = "the same command goes on where it stood"

Progress = Callable[[int, int | None], None]
"""Is told how many bytes of how many are there; of None where the server does not say."""


def checked_sha256(given: str) -> str:
    """A SHA-256 in lower case. Raises `ConfigError` if it is none."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", given):
        raise ConfigError("sha256", f"{given}: a SHA-256 has 64 hex digits, 0 to 9 and a to f")
    return given.lower()


def check_url(url: str) -> None:
    """Raise `UsageError` where nothing is downloaded from a URL. Secrets in it are not repeated."""
    if re.match(r"[^/?#]*//[^/?#]*@", url):
        raise UsageError("the URL has a user name or password in it, which everybody would see: give one without")
    if strange := re.search(r"[^!-~]", url):
        raise UsageError(f"{url} is no URL: {strange[0]!r} must be written as {quote(strange[0])} there")
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise UsageError(f"{url} is no URL: {error}") from error
    if parts.scheme.lower() not in _SCHEMES:
        raise UsageError(f"{url}: downloads are over https only, where nobody on the way can change them")
    if not has_host:
        raise UsageError(f"{url} is no URL: it names no server")


def fetch(url: str, sha256: str, offline: bool = False, progress: Progress = lambda _done, _all: None) -> Path:
    """The file of a URL, downloaded unless the cache holds it already.

    Args:
        url: where it is; it and all that it redirects to are https.
        sha256: its hash, which it must have.
        offline: take only what the cache holds.
        progress: is told how far it is.

    Raises:
        UsageError: the URL is not https, the hash is none, or another process is downloading.
        CrnnocrError: it cannot be had, or is not the file that was meant.
    """
    wanted = checked_sha256(sha256)
    check_url(url)
    whole = cache_directory() / "downloads" / wanted
    if _is(whole, wanted):
        return whole
    if offline:
        raise CrnnocrError(
            f"{url} was not downloaded before, and with `offline` (or CRNNOCR_OFFLINE) nothing is: it has {wanted}"
        )
    part = whole.with_name(f"{wanted}.part")
    try:
        with _kept_alone(part):
            if not _is(part, wanted):
                if _complete(url, part, progress) and not _is(part, wanted):
                    os.truncate(part, 0)  # what was there before was not the start of the file, as after a crash
                    _complete(url, part, progress)
                _check(url, part, wanted)
            os.replace(part, whole)
    except OSError as error:
        raise write_error(part, error) from error
    return whole


@contextmanager
def _kept_alone(part: Path) -> Iterator[None]:
    """Keep other processes from fetching the same file meanwhile. Nothing is left where nothing has come.

    Raises `UsageError` where another process is fetching it.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":  # which neither locks nor moves a file that is open
        yield
        return
    with part.open("ab") as file:
        lock(part, file.fileno())
        try:
            yield
        finally:
            if part.is_file() and not part.stat().st_size:
                part.unlink()


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def _check(url: str, part: Path, wanted: str) -> None:
    """Remove a file that is not the one that was meant, and raise `CrnnocrError`."""
    found = sha256_of(part)
    if found != wanted:
        part.unlink()
        raise CrnnocrError(f"{url} is not the file that was meant, and was removed: its SHA-256 is {found}, not {wanted}")


def _complete(url: str, part: Path, progress: Progress) -> int:
    """Fetch what is missing of a file. Returns how many bytes of what was there already were kept."""
    had = part.stat().st_size if part.is_file() else 0
    response, start = _response(url, had if had < MAX_BYTES else 0)
    with response, part.open("r+b" if start else "wb") as file:
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        done = file.seek(start)
        progress(done, total)
        while max(done, total or 0) <= MAX_BYTES and (chunk := _chunk(response, url)):
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
        file.truncate()
    if max(done, total or 0) > MAX_BYTES:
        part.unlink()
        raise CrnnocrError(f"{url} has more than {MAX_BYTES / 1e9:g} GB, which no model has")
    if total is not None and done < total:
        raise CrnnocrError(f"{url}: the connection ended after {done:,} of {total:,} bytes: {_GOES_ON}")
    return start


def _response(url: str, had: int) -> tuple[HTTPResponse, int]:
    """The answer to a request for all but the first `had` bytes, and where the bytes that it gives begin."""
    headers = {"User-Agent": f"crnnocr/{__version__}"} | ({"Range": f"bytes={had}-"} if had else {})
    try:
        response: HTTPResponse = build_opener(_Redirects).open(Request(url, headers=headers), timeout=_SILENCE)  # noqa: S310
    except HTTPError as error:
        error.close()
        if error.code == 416 and had:  # it is not that long
            return _response(url, 0)
        raise _refused(url, error) from error
    except (OSError, HTTPException, ValueError) as error:
        raise _unreachable(url, error) from error
    if response.status != 206:
        return response, 0
    if had and response.headers.get("Content-Range", "").startswith(f"bytes {had}-"):
        return response, had
    response.close()
    if had:
        return _response(url, 0)
    raise CrnnocrError(f"{url}: the server gives a part of the file only")


def _refused(url: str, error: HTTPError) -> CrnnocrError:
    if 300 <= error.code < 400:
        return CrnnocrError(f"{url}: its redirects lead to no file: check the address")
    is_busy = error.code >= 500 or error.code == 429
    return CrnnocrError(
        f"{url}: the server answers {error.code} {error.reason}: {f'later {_GOES_ON}' if is_busy else 'check the address'}"
    )


def _chunk(response: HTTPResponse, url: str) -> bytes:
    """The bytes that come next; none at the end."""
    try:
        return response.read1(_CHUNK)
    except (OSError, HTTPException) as error:
        raise _unreachable(url, error) from error


def _unreachable(url: str, error: Exception) -> CrnnocrError:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        return CrnnocrError(f"{url}: nothing came for {_SILENCE:g} seconds: {_GOES_ON}")
    # A bad certificate is a ValueError as well.
    goes_on = isinstance(reason, OSError | HTTPException) and not isinstance(reason, ValueError | InvalidURL)
    mend = f"check address and network; {_GOES_ON}" if goes_on else "check the address"
    return CrnnocrError(f"{url} cannot be fetched ({reason or type(error).__name__}): {mend}")


class _Redirects(HTTPRedirectHandler):
    """Follows redirects, but only to where a download may come from."""

    def http_error_302(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage) -> HTTPResponse | None:
        try:
            response: HTTPResponse | None = super().http_error_302(req, fp, code, msg, headers)
        except (CrnnocrError, ValueError):
            fp.close()
            raise
        return response

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        try:
            check_url(newurl)
        except UsageError as error:
            raise CrnnocrError(f"{req.full_url} redirects to where nothing is downloaded from: {error}") from error
        return super().redirect_request(req, fp, code, msg, headers, newurl)
