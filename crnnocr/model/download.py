"""Download a file over https into the cache directory: the one that was meant, or none. Needs no torch.

A file is identified by its SHA-256. An interrupted download leaves `SHA256.part`, from which the next one resumes.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from pathlib import Path
from typing import IO, TypeAlias
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from crnnocr import __version__
from crnnocr.errors import ConfigError, CrnnocrError, UsageError
from crnnocr.files import cache_directory, lock, sha256_of, write_error

_CHUNK = 1 << 18
_RESUMES = "the same command resumes it"

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes that are there, and with all there will be, or None if the server does not say."""


@dataclass(frozen=True)
class Limits:
    """Accepted URLs and sizes, and how long a server may take."""

    schemes: tuple[str, ...] = ("https",)
    max_bytes: int = 2 * 10**9
    """No model is larger."""
    timeout: float = 30.0
    """Seconds without a byte."""


DEFAULT_LIMITS = Limits()


def checked_sha256(given: str) -> str:
    """A SHA-256 in lower case. Raises `ConfigError` if it is none."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", given):
        raise ConfigError("sha256", f"{given}: a SHA-256 has 64 hex digits, 0 to 9 and a to f")
    return given.lower()


def check_url(url: str, limits: Limits = DEFAULT_LIMITS) -> None:
    """Raise `UsageError` if nothing is downloaded from a URL. A password in it is not repeated."""
    if re.match(r"[^/?#]*//[^/?#]*@", url):
        raise UsageError("the URL has a user name or password in it, which everybody would see: give one without")
    if strange := re.search(r"[^!-~]", url):
        raise UsageError(f"{url} is no URL: {strange[0]!r} must be written as {quote(strange[0])} there")
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise UsageError(f"{url} is no URL: {error}") from error
    if parts.scheme.lower() not in limits.schemes:
        raise UsageError(f"{url}: downloads are over https only, where nobody on the way can change them")
    if not has_host:
        raise UsageError(f"{url} is no URL: it names no server")


def fetch(
    url: str,
    sha256: str,
    offline: bool = False,
    progress: Progress = lambda _done, _all: None,
    limits: Limits = DEFAULT_LIMITS,
) -> Path:
    """Download a file, unless the cache has it already.

    Args:
        url: where it is.
        sha256: the hash that it must have.
        offline: use only what the cache has.
        progress: called after each chunk.
        limits: they hold for redirects, too.

    Raises:
        UsageError: the URL or the hash is not one, or another process is downloading the file.
        CrnnocrError: it cannot be downloaded, or is not the file that was meant.
    """
    wanted = checked_sha256(sha256)
    check_url(url, limits)
    whole = cache_directory() / "downloads" / wanted
    if _has_hash(whole, wanted):
        return whole
    if offline:
        raise CrnnocrError(
            f"{url} was not downloaded before, and with `offline` (or CRNNOCR_OFFLINE) nothing is: it has {wanted}"
        )
    part = whole.with_name(f"{wanted}.part")
    try:
        with _locked(part):
            if not _has_hash(part, wanted):
                download = _Download(url, limits, progress)
                if download.complete(part) and not _has_hash(part, wanted):
                    os.truncate(part, 0)  # the part was not the start of the file, as after a crash
                    download.complete(part)
                _check_hash(url, part, wanted)
            os.replace(part, whole)
    except OSError as error:
        raise write_error(part, error) from error
    return whole


@contextmanager
def _locked(part: Path) -> Iterator[None]:
    """Keep other processes from downloading the same file. An empty part is removed.

    Raises `UsageError` if another process is downloading it.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":  # which can neither lock nor move an open file
        yield
        return
    with part.open("ab") as file:
        lock(part, file.fileno())
        try:
            yield
        finally:
            if part.is_file() and not part.stat().st_size:
                part.unlink()


def _has_hash(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def _check_hash(url: str, part: Path, wanted: str) -> None:
    """Raise `CrnnocrError` if the file is not the one that was meant, and remove it."""
    found = sha256_of(part)
    if found != wanted:
        part.unlink()
        raise CrnnocrError(f"{url} is not the file that was meant, and was removed: its SHA-256 is {found}, not {wanted}")


@dataclass(frozen=True)
class _Download:
    """Requests for one URL."""

    url: str
    limits: Limits
    progress: Progress

    def complete(self, part: Path) -> int:
        """Fetch what a part lacks. Returns how many of its bytes were kept."""
        max_bytes = self.limits.max_bytes
        size = part.stat().st_size if part.is_file() else 0
        response, start = self._request(size if size < max_bytes else 0)
        with response, part.open("r+b" if start else "wb") as file:
            length = response.headers.get("Content-Length", "")
            total = start + int(length) if length.isdecimal() else None
            done = file.seek(start)
            self.progress(done, total)
            while max(done, total or 0) <= max_bytes and (chunk := self._read(response)):
                file.write(chunk)
                done += len(chunk)
                self.progress(done, total)
            file.truncate()
        if max(done, total or 0) > max_bytes:
            part.unlink()
            raise CrnnocrError(f"{self.url} has more than {max_bytes / 1e9:g} GB, which no model has")
        if total is not None and done < total:
            raise CrnnocrError(f"{self.url}: the connection ended after {done:,} of {total:,} bytes: {_RESUMES}")
        return start

    def _request(self, start: int) -> tuple[HTTPResponse, int]:
        """Request the file from byte `start` on. Returns the response, and the byte that it really begins with."""
        headers = {"User-Agent": f"crnnocr/{__version__}"} | ({"Range": f"bytes={start}-"} if start else {})
        request = Request(self.url, headers=headers)  # noqa: S310
        try:
            response: HTTPResponse = build_opener(_Redirects(self.limits)).open(request, timeout=self.limits.timeout)
        except HTTPError as error:
            error.close()
            if error.code == 416 and start:  # the file is not that long
                return self._request(0)
            raise self._status_error(error) from error
        except (OSError, HTTPException, ValueError) as error:
            raise self._connection_error(error) from error
        if response.status != 206:
            return response, 0
        if start and response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            return response, start
        response.close()
        if start:
            return self._request(0)
        raise CrnnocrError(f"{self.url}: the server gives only a part of the file")

    def _read(self, response: HTTPResponse) -> bytes:
        """The next chunk; empty at the end."""
        try:
            return response.read1(_CHUNK)
        except (OSError, HTTPException) as error:
            raise self._connection_error(error) from error

    def _status_error(self, error: HTTPError) -> CrnnocrError:
        if 300 <= error.code < 400:
            return CrnnocrError(f"{self.url}: its redirects lead to no file: check the address")
        is_busy = error.code >= 500 or error.code == 429
        fix = f"{_RESUMES} later" if is_busy else "check the address"
        return CrnnocrError(f"{self.url}: the server answers {error.code} {error.reason}: {fix}")

    def _connection_error(self, error: Exception) -> CrnnocrError:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, TimeoutError):
            return CrnnocrError(f"{self.url}: nothing came for {self.limits.timeout:g} seconds: {_RESUMES}")
        # A bad certificate is a ValueError as well.
        can_resume = isinstance(reason, OSError | HTTPException) and not isinstance(reason, ValueError | InvalidURL)
        fix = f"check address and network; {_RESUMES}" if can_resume else "check the address"
        return CrnnocrError(f"{self.url} cannot be fetched ({reason or type(error).__name__}): {fix}")


class _Redirects(HTTPRedirectHandler):
    """Follows redirects, but only to where a download may come from."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

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
            check_url(newurl, self._limits)
        except UsageError as error:
            raise CrnnocrError(f"{req.full_url} redirects to where nothing is downloaded from: {error}") from error
        return super().redirect_request(req, fp, code, msg, headers, newurl)
