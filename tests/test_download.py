"""Downloads: the file that was meant or none, and no byte of it twice."""

from __future__ import annotations

import hashlib
import http.server
import re
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.client import InvalidURL, RemoteDisconnected
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from crnnocr.errors import CrnnocrError, UsageError
from crnnocr.files import lock
from crnnocr.model import download
from crnnocr.model.download import Limits

CONTENT = np.random.default_rng(0).bytes(1_000_000)
"""Several chunks."""

WANTED = hashlib.sha256(CONTENT).hexdigest()

HTTP = Limits(schemes=("http",))
"""For the server of these tests, which has no certificate."""


class Server(http.server.ThreadingHTTPServer):
    """Gives `content` at any path, and at /moved a redirect to `target`."""

    daemon_threads = True
    content = CONTENT
    target = "/file"
    knows_ranges = True
    says_length = True
    status = 200
    stops_after: int | None = None
    silent_after: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []
        """Of each request."""
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", self.server.target)
            self.end_headers()
            return
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        start = int(re.findall(r"\d+", wanted)[0]) if wanted and self.server.knows_ranges else 0
        if start >= len(self.server.content):
            self.send_error(416)
            return
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.server.content) - 1}/{len(self.server.content)}")
        if self.server.says_length:
            self.send_header("Content-Length", str(len(self.server.content) - start))
        self.end_headers()
        stop = self.server.stops_after or self.server.silent_after
        self.wfile.write(self.server.content[start:][:stop])
        if self.server.silent_after:
            self.wfile.flush()
            self.server.ended.wait(20)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on this machine, which speaks only http."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.ended.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    """The folder of downloads; it does not exist yet."""
    return tmp_path / "cache" / "downloads"


def left(downloads: Path, content: bytes) -> Path:
    """The part that an interrupted download left."""
    downloads.mkdir(parents=True)
    part = downloads / f"{WANTED}.part"
    part.write_bytes(content)
    return part


def test_a_file_is_fetched_into_the_cache_under_its_hash(server: Server, downloads: Path) -> None:
    path = download.fetch(server.url, WANTED, limits=HTTP)
    assert path == downloads / WANTED
    assert path.read_bytes() == CONTENT
    assert [file.name for file in downloads.iterdir()] == [WANTED]


def test_it_is_fetched_once(server: Server) -> None:
    assert download.fetch(server.url, WANTED, limits=HTTP) == download.fetch(
        server.url, WANTED.upper(), offline=True, limits=HTTP
    )
    assert server.ranges == [None]


def test_a_file_in_the_cache_that_was_damaged_is_fetched_again(server: Server) -> None:
    path = download.fetch(server.url, WANTED, limits=HTTP)
    path.write_bytes(CONTENT[:-1])
    assert download.fetch(server.url, WANTED, limits=HTTP).read_bytes() == CONTENT


def test_progress_is_reported_to_the_last_byte(server: Server) -> None:
    calls: list[tuple[int, int | None]] = []
    download.fetch(server.url, WANTED, progress=lambda *at: calls.append(at), limits=HTTP)
    assert (calls[0], calls[-1]) == ((0, 1_000_000), (1_000_000, 1_000_000))
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_a_server_may_not_say_how_long_the_file_is(server: Server) -> None:
    server.says_length = False
    calls: list[tuple[int, int | None]] = []
    assert download.fetch(server.url, WANTED, progress=lambda *at: calls.append(at), limits=HTTP).read_bytes() == CONTENT
    assert calls[-1] == (1_000_000, None)


def test_after_a_broken_connection_the_next_call_requests_the_rest(server: Server, downloads: Path) -> None:
    server.stops_after = 300_000
    with pytest.raises(CrnnocrError, match="ended after 300,000 of 1,000,000 bytes: the same command resumes it"):
        download.fetch(server.url, WANTED, limits=HTTP)
    assert (downloads / f"{WANTED}.part").read_bytes() == CONTENT[:300_000]
    server.stops_after = None
    calls: list[tuple[int, int | None]] = []
    path = download.fetch(server.url, WANTED, progress=lambda *at: calls.append(at), limits=HTTP)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]
    assert calls[0] == (300_000, 1_000_000)


def test_after_ctrl_c_the_next_call_requests_the_rest(server: Server, downloads: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.fetch(server.url, WANTED, progress=interrupt, limits=HTTP)
    part = (downloads / f"{WANTED}.part").read_bytes()
    assert 0 < len(part) < len(CONTENT)
    assert part == CONTENT[: len(part)]
    assert download.fetch(server.url, WANTED, limits=HTTP).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={len(part)}-"]


def test_a_server_without_ranges_gives_everything_again(server: Server, downloads: Path) -> None:
    left(downloads, CONTENT[:1000])
    server.knows_ranges = False
    assert download.fetch(server.url, WANTED, limits=HTTP).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


@pytest.mark.parametrize("more", [0, 5], ids=["as long", "longer"])
def test_a_part_that_is_not_the_start_of_the_file_is_replaced(more: int, server: Server, downloads: Path) -> None:
    left(downloads, bytes(len(CONTENT) + more))
    assert download.fetch(server.url, WANTED, limits=HTTP).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT) + more}-", None]


def test_a_complete_part_needs_no_server(server: Server, downloads: Path) -> None:
    part = left(downloads, CONTENT)
    assert download.fetch(server.url, WANTED, limits=HTTP).read_bytes() == CONTENT
    assert not part.exists()
    assert server.ranges == []


def test_a_part_that_a_crash_has_damaged_is_replaced(server: Server, downloads: Path) -> None:
    left(downloads, CONTENT[:1000] + bytes(1000))
    assert download.fetch(server.url, WANTED, limits=HTTP).read_bytes() == CONTENT
    assert server.ranges == ["bytes=2000-", None]


def test_a_replaced_part_may_be_another_file_still(server: Server, downloads: Path) -> None:
    left(downloads, CONTENT[:1000])
    server.content = CONTENT[::-1]
    other = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(CrnnocrError, match=f"its SHA-256 is {other}, not {WANTED}"):
        download.fetch(server.url, WANTED, limits=HTTP)
    assert server.ranges == ["bytes=1000-", None]
    assert list(downloads.iterdir()) == []


def test_another_file_is_removed_and_the_error_names_both_hashes(server: Server, downloads: Path) -> None:
    server.content = CONTENT[::-1]
    other = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(CrnnocrError, match=f"its SHA-256 is {other}, not {WANTED}"):
        download.fetch(server.url, WANTED, limits=HTTP)
    assert list(downloads.iterdir()) == []


@pytest.mark.parametrize("says_length", [True, False])
def test_a_file_that_is_too_large_is_not_kept(says_length: bool, server: Server, downloads: Path) -> None:
    server.says_length = says_length
    with pytest.raises(CrnnocrError, match="GB, which no model has"):
        download.fetch(server.url, WANTED, limits=replace(HTTP, max_bytes=999_999))
    assert list(downloads.iterdir()) == []


def test_a_silent_server_is_given_up(server: Server, downloads: Path) -> None:
    server.silent_after = 500_000
    with pytest.raises(CrnnocrError, match=r"nothing came for 0\.3 seconds: the same command resumes it"):
        download.fetch(server.url, WANTED, limits=replace(HTTP, timeout=0.3))
    assert (downloads / f"{WANTED}.part").read_bytes() == CONTENT[:500_000]


def test_a_client_error_asks_to_check_the_address(server: Server) -> None:
    server.status = 404
    with pytest.raises(CrnnocrError, match="the server answers 404 Not Found: check the address"):
        download.fetch(server.url, WANTED, limits=HTTP)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_can_be_tried_later(status: int, server: Server) -> None:
    server.status = status
    with pytest.raises(CrnnocrError, match=f"the server answers {status} .*: the same command resumes it later$"):
        download.fetch(server.url, WANTED, limits=HTTP)


def test_a_missing_server_is_an_error_and_leaves_nothing(downloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as gone:
        url = gone.url
    with pytest.raises(CrnnocrError, match=r"cannot be fetched \(.*refused\): check address and network; the same"):
        download.fetch(url, WANTED, limits=HTTP)
    assert list(downloads.iterdir()) == []


def test_redirects_are_followed(server: Server) -> None:
    assert download.fetch(server.url.replace("/file", "/moved"), WANTED, limits=HTTP).read_bytes() == CONTENT


def test_redirects_obey_the_same_limits(server: Server) -> None:
    server.target = "ftp://127.0.0.1/file"
    moved = server.url.replace("/file", "/moved")
    with pytest.raises(CrnnocrError, match=f"{moved} redirects to .* ftp://127.0.0.1/file: downloads are over https") as raised:
        download.fetch(moved, WANTED, limits=HTTP)
    assert raised.value.exit_code == 1  # what was typed is right


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/moved", "its redirects lead to no file: check the address$"),
        ("http://[::1/x", r"cannot be fetched \(Invalid IPv6 URL\): check the address$"),
        ("http://user:secret@127.0.0.1/file", "the URL has a user name or password in it"),
    ],
    ids=["in a circle", "no URL", "with a password"],
)
def test_redirects_that_lead_nowhere_are_an_error_in_one_line(target: str, message: str, server: Server) -> None:
    server.target = target
    with pytest.raises(CrnnocrError, match=message) as raised:
        download.fetch(server.url.replace("/file", "/moved"), WANTED, limits=HTTP)
    assert (raised.value.exit_code, "\n" in str(raised.value), "secret" in str(raised.value)) == (1, False, False)


@pytest.mark.parametrize("url", ["http://a.example/m.safetensors", "ftp://a.example/m", "file:///etc/hosts", "a.example/m"])
def test_only_https_is_fetched(url: str) -> None:
    with pytest.raises(UsageError, match="https only"):
        download.fetch(url, WANTED)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://[::1/x", "Invalid IPv6 URL"),
        ("https:///x", "it names no server"),
        ("https://:80/x", "it names no server"),
        ("https://a.example:port/x", "Port could not be cast"),
        ("https://a.example/my model", "' ' must be written as %20 there"),
        ("https://a.example/\x1b", r"'\\x1b' must be written as %1B there"),
        ("https://a.example/ä", "'ä' must be written as %C3%A4 there"),
    ],
)
def test_a_wrong_url_is_an_error_before_any_request(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"is no URL: .*{message}"):
        download.fetch(url, WANTED)


@pytest.mark.parametrize("url", ["https://user:secret@a.example/m", "http://secret@a.example", "https://u:secret@[::1/x"])
def test_a_url_with_a_password_is_an_error_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(UsageError, match="the URL has a user name or password in it") as raised:
        download.fetch(url, WANTED)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "can_resume"),
    [
        (URLError(ConnectionResetError("reset")), True),
        (RemoteDisconnected("gone"), True),
        (URLError(ssl.SSLCertVerificationError("self-signed certificate")), False),
        (InvalidURL("nonnumeric port"), False),
        (URLError("no host given"), False),
    ],
)
def test_only_a_broken_connection_can_be_resumed(error: Exception, can_resume: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Opener:
        def open(self, *_: object, **__: object) -> None:
            raise error

    monkeypatch.setattr(download, "build_opener", lambda *_: Opener())
    with pytest.raises(CrnnocrError, match="cannot be fetched") as raised:
        download.fetch("https://a.example/m", WANTED)
    assert ("the same command resumes it" in str(raised.value)) == can_resume


@pytest.mark.parametrize("sha256", ["", "abc", WANTED[:-1], WANTED + "0", "g" * 64, WANTED + "\n"])
def test_a_hash_has_64_hex_digits(sha256: str) -> None:
    with pytest.raises(UsageError, match="has 64 hex digits"):
        download.fetch("https://a.example/m", sha256)


def test_offline_nothing_is_fetched(server: Server, downloads: Path) -> None:
    left(downloads, CONTENT[:1000])
    with pytest.raises(CrnnocrError, match="was not downloaded before"):
        download.fetch(server.url, WANTED, offline=True, limits=HTTP)
    assert server.ranges == []


def test_two_processes_do_not_write_to_the_same_part(server: Server, downloads: Path) -> None:
    with left(downloads, CONTENT[:1000]).open("rb") as part:
        lock(Path(part.name), part.fileno())
        with pytest.raises(UsageError, match=rf"another process is writing to .*{WANTED}\.part"):
            download.fetch(server.url, WANTED, limits=HTTP)
        server.content = b"another file"
        other = hashlib.sha256(server.content).hexdigest()
        assert download.fetch(server.url, other, limits=HTTP).read_bytes() == server.content
        assert part.read() == CONTENT[:1000]
