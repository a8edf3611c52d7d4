"""Downloads: the very file that was meant or none, and no byte of it twice."""

from __future__ import annotations

import hashlib
import http.server
import re
import ssl
import threading
from collections.abc import Iterator
from http.client import InvalidURL, RemoteDisconnected
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from crnnocr.errors import CrnnocrError, UsageError
from crnnocr.files import lock
from crnnocr.model import download

CONTENT = np.random.default_rng(0).bytes(1_000_000)
"""Several chunks."""

WANTED = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Gives `content` at any path, and at /moved the way to `target`."""

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
        """What each request has asked for."""
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
    """A server on this machine, which speaks http alone."""
    monkeypatch.setattr(download, "_SCHEMES", ("http",))
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
    """Where downloads are kept; not there yet."""
    return tmp_path / "cache" / "downloads"


def left(downloads: Path, content: bytes) -> Path:
    """What an interrupted download has brought."""
    downloads.mkdir(parents=True)
    part = downloads / f"{WANTED}.part"
    part.write_bytes(content)
    return part


def test_a_file_is_fetched_into_the_cache_under_its_hash(server: Server, downloads: Path) -> None:
    path = download.fetch(server.url, WANTED)
    assert path == downloads / WANTED
    assert path.read_bytes() == CONTENT
    assert [file.name for file in downloads.iterdir()] == [WANTED]


def test_it_is_fetched_once(server: Server) -> None:
    assert download.fetch(server.url, WANTED) == download.fetch(server.url, WANTED.upper(), offline=True)
    assert server.ranges == [None]


def test_a_file_in_the_cache_that_was_damaged_is_fetched_again(server: Server) -> None:
    path = download.fetch(server.url, WANTED)
    path.write_bytes(CONTENT[:-1])
    assert download.fetch(server.url, WANTED).read_bytes() == CONTENT


def test_progress_is_told_to_the_last_byte(server: Server) -> None:
    told: list[tuple[int, int | None]] = []
    download.fetch(server.url, WANTED, progress=lambda done, total: told.append((done, total)))
    assert (told[0], told[-1]) == ((0, 1_000_000), (1_000_000, 1_000_000))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_server_that_does_not_say_how_long_it_is(server: Server) -> None:
    server.says_length = False
    told: list[tuple[int, int | None]] = []
    assert download.fetch(server.url, WANTED, progress=lambda *at: told.append(at)).read_bytes() == CONTENT
    assert told[-1] == (1_000_000, None)


def test_a_connection_that_breaks_leaves_what_came_and_the_next_call_asks_for_the_rest(server: Server, downloads: Path) -> None:
    server.stops_after = 300_000
    with pytest.raises(CrnnocrError, match="the connection ended after 300,000 of 1,000,000 bytes: the same command goes on"):
        download.fetch(server.url, WANTED)
    assert (downloads / f"{WANTED}.part").read_bytes() == CONTENT[:300_000]
    server.stops_after = None
    told: list[tuple[int, int | None]] = []
    path = download.fetch(server.url, WANTED, progress=lambda *at: told.append(at))
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]
    assert told[0] == (300_000, 1_000_000)


def test_ctrl_c_leaves_what_came(server: Server, downloads: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.fetch(server.url, WANTED, progress=interrupt)
    part = (downloads / f"{WANTED}.part").read_bytes()
    assert 0 < len(part) < len(CONTENT)
    assert part == CONTENT[: len(part)]
    assert download.fetch(server.url, WANTED).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={len(part)}-"]


def test_a_server_that_knows_no_ranges_gives_all_again(server: Server, downloads: Path) -> None:
    left(downloads, CONTENT[:1000])
    server.knows_ranges = False
    assert download.fetch(server.url, WANTED).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


@pytest.mark.parametrize("more", [0, 5], ids=["as long", "longer"])
def test_a_part_that_is_not_the_start_of_the_file_is_fetched_anew(more: int, server: Server, downloads: Path) -> None:
    left(downloads, bytes(len(CONTENT) + more))
    assert download.fetch(server.url, WANTED).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT) + more}-", None]


def test_a_part_that_is_whole_needs_no_server(server: Server, downloads: Path) -> None:
    part = left(downloads, CONTENT)
    assert download.fetch(server.url, WANTED).read_bytes() == CONTENT
    assert not part.exists()
    assert server.ranges == []


def test_a_part_that_a_crash_has_spoilt_is_fetched_once_more(server: Server, downloads: Path) -> None:
    left(downloads, CONTENT[:1000] + bytes(1000))
    assert download.fetch(server.url, WANTED).read_bytes() == CONTENT
    assert server.ranges == ["bytes=2000-", None]


def test_where_the_whole_file_is_another_too_it_is_said(server: Server, downloads: Path) -> None:
    left(downloads, CONTENT[:1000])
    server.content = CONTENT[::-1]
    other = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(CrnnocrError, match=f"its SHA-256 is {other}, not {WANTED}"):
        download.fetch(server.url, WANTED)
    assert server.ranges == ["bytes=1000-", None]
    assert list(downloads.iterdir()) == []


def test_another_file_than_was_meant_is_removed_and_both_hashes_are_named(server: Server, downloads: Path) -> None:
    server.content = CONTENT[::-1]
    other = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(CrnnocrError, match=f"its SHA-256 is {other}, not {WANTED}"):
        download.fetch(server.url, WANTED)
    assert list(downloads.iterdir()) == []


@pytest.mark.parametrize("says_length", [True, False])
def test_a_file_that_is_too_large_is_not_kept(
    says_length: bool, server: Server, downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 999_999)
    server.says_length = says_length
    with pytest.raises(CrnnocrError, match="GB, which no model has"):
        download.fetch(server.url, WANTED)
    assert list(downloads.iterdir()) == []


def test_a_silent_server_is_given_up(server: Server, downloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_SILENCE", 0.3)
    server.silent_after = 500_000
    with pytest.raises(CrnnocrError, match=r"nothing came for 0\.3 seconds: the same command goes on"):
        download.fetch(server.url, WANTED)
    assert (downloads / f"{WANTED}.part").read_bytes() == CONTENT[:500_000]


def test_what_the_server_refuses_is_said(server: Server) -> None:
    server.status = 404
    with pytest.raises(CrnnocrError, match="the server answers 404 Not Found: check the address"):
        download.fetch(server.url, WANTED)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_cannot_now_can_later(status: int, server: Server) -> None:
    server.status = status
    with pytest.raises(CrnnocrError, match=f"the server answers {status} .*: later the same command goes on where it stood$"):
        download.fetch(server.url, WANTED)


def test_no_server_at_all_is_said_and_leaves_nothing(downloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_SCHEMES", ("http",))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as gone:
        url = gone.url
    with pytest.raises(CrnnocrError, match=r"cannot be fetched \(.*refused\): check address and network; the same"):
        download.fetch(url, WANTED)
    assert list(downloads.iterdir()) == []


def test_redirects_are_followed(server: Server) -> None:
    assert download.fetch(server.url.replace("/file", "/moved"), WANTED).read_bytes() == CONTENT


def test_redirects_lead_nowhere_else_than_a_download_may_come_from(server: Server) -> None:
    server.target = "ftp://127.0.0.1/file"
    moved = server.url.replace("/file", "/moved")
    with pytest.raises(CrnnocrError, match=f"{moved} redirects to .* ftp://127.0.0.1/file: downloads are over https") as raised:
        download.fetch(moved, WANTED)
    assert raised.value.exit_code == 1  # what was typed is right


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/moved", "its redirects lead to no file: check the address$"),
        ("http://[::1/x", r"cannot be fetched \(Invalid IPv6 URL\): check the address$"),
        ("http://user:secret@127.0.0.1/file", "the URL has a user name or password in it"),
    ],
    ids=["in a circle", "no URL", "with a password"],
)
def test_redirects_that_lead_nowhere_are_said_in_one_line(target: str, said: str, server: Server) -> None:
    server.target = target
    with pytest.raises(CrnnocrError, match=said) as raised:
        download.fetch(server.url.replace("/file", "/moved"), WANTED)
    assert (raised.value.exit_code, "\n" in str(raised.value), "secret" in str(raised.value)) == (1, False, False)


@pytest.mark.parametrize("url", ["http://a.example/m.safetensors", "ftp://a.example/m", "file:///etc/hosts", "a.example/m"])
def test_only_https_is_fetched(url: str) -> None:
    with pytest.raises(UsageError, match="https only"):
        download.fetch(url, WANTED)


@pytest.mark.parametrize(
    ("url", "said"),
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
def test_what_is_no_url_is_said_before_anything_is_asked(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"is no URL: .*{said}"):
        download.fetch(url, WANTED)


@pytest.mark.parametrize("url", ["https://user:secret@a.example/m", "http://secret@a.example", "https://u:secret@[::1/x"])
def test_a_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="the URL has a user name or password in it") as raised:
        download.fetch(url, WANTED)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "goes_on"),
    [
        (URLError(ConnectionResetError("reset")), True),
        (RemoteDisconnected("gone"), True),
        (URLError(ssl.SSLCertVerificationError("self-signed certificate")), False),
        (InvalidURL("nonnumeric port"), False),
        (URLError("no host given"), False),
    ],
)
def test_only_what_can_go_on_is_said_to(error: Exception, goes_on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Opener:
        def open(self, *_: object, **__: object) -> None:
            raise error

    monkeypatch.setattr(download, "build_opener", lambda *_: Opener())
    with pytest.raises(CrnnocrError, match="cannot be fetched") as raised:
        download.fetch("https://a.example/m", WANTED)
    assert ("the same command goes on" in str(raised.value)) == goes_on


@pytest.mark.parametrize("sha256", ["", "abc", WANTED[:-1], WANTED + "0", "g" * 64, WANTED + "\n"])
def test_a_hash_has_64_hex_digits(sha256: str) -> None:
    with pytest.raises(UsageError, match="has 64 hex digits"):
        download.fetch("https://a.example/m", sha256)


def test_offline_nothing_is_fetched(server: Server, downloads: Path) -> None:
    left(downloads, CONTENT[:1000])
    with pytest.raises(CrnnocrError, match="was not downloaded before"):
        download.fetch(server.url, WANTED, offline=True)
    assert server.ranges == []


def test_two_processes_do_not_write_to_the_same_part(server: Server, downloads: Path) -> None:
    with left(downloads, CONTENT[:1000]).open("rb") as part:
        lock(Path(part.name), part.fileno())
        with pytest.raises(UsageError, match=rf"another process is writing to .*{WANTED}\.part"):
            download.fetch(server.url, WANTED)
        server.content = b"another file"
        other = hashlib.sha256(server.content).hexdigest()
        assert download.fetch(server.url, other).read_bytes() == server.content
        assert part.read() == CONTENT[:1000]
