"""Where files come from, against a server on this machine that can do what upstream may do."""

import gzip
import hashlib
import logging
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hybridir_mteb.collections.download import DataFile, fetch, locate
from hybridir_mteb.errors import ChecksumError, DataUnavailableError
from hybridir_mteb.files import sha256_of

CONTENT = random.Random(0).randbytes(400_000)
CUT = 150_000
NAME = "xquad-r/de.json"


@dataclass
class Upstream:
    """A server of one file, and what was asked of it."""

    url: str = ""
    content: bytes = CONTENT
    ranges: bool = True  # whether it honours the header ``Range``
    # Whether it sends gzip to clients that accept it; ranges then count compressed bytes, as HTTP
    # wants it (RFC 9110, section 14.1.2).
    compresses: bool = False
    breaks_after: int | None = None  # bytes of a body
    status: int | None = None  # to answer with instead
    delay_s: float = 0.0  # before answering
    asked: list[str | None] = field(default_factory=list)  # the header ``Range`` of each request
    statuses: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)  # lengths of bodies

    def handler(self) -> type[BaseHTTPRequestHandler]:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                upstream.answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(wanted := request.headers.get("Range"))
        time.sleep(self.delay_s)
        body, headers, status = self.content, {}, self.status or 200
        if self.compresses and "gzip" in request.headers.get("Accept-Encoding", ""):
            body, headers = gzip.compress(body, mtime=0), {"Content-Encoding": "gzip"}
        if wanted and self.ranges and self.status is None:
            start, total = int(wanted.removeprefix("bytes=").removesuffix("-")), len(body)
            status = 206 if start < total else 416
            place = f"{start}-{total - 1}" if start < total else "*"
            headers["Content-Range"] = f"bytes {place}/{total}"
            body = body[start:]
        if status >= 400:
            body = b"no"
        length, body = len(body), body[: self.breaks_after]
        self.statuses.append(status)  # before anything is sent: the client may be quick
        self.sent.append(len(body))
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    served = Upstream()
    with ThreadingHTTPServer(("127.0.0.1", 0), served.handler()) as server:
        served.url = f"http://127.0.0.1:{server.server_port}/{NAME}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        server.shutdown()
        thread.join()


@pytest.fixture
def file(upstream: Upstream) -> DataFile:
    return DataFile(NAME, upstream.url, hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cached file's place; there is no mirror."""
    monkeypatch.delenv("HYBRIDIR_DATA_DIR", raising=False)
    monkeypatch.setenv("HYBRIDIR_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data" / NAME


@pytest.fixture
def mirror(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file's place in the mirror."""
    monkeypatch.setenv("HYBRIDIR_DATA_DIR", str(tmp_path / "mirror"))
    return tmp_path / "mirror" / NAME


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def left_in(folder: Path) -> list[Path]:
    """What lies in a folder, less the locks."""
    return sorted(path for path in folder.iterdir() if path.suffix != ".lock")


def broken_download(file: DataFile, upstream: Upstream, cache: Path, after: int = CUT) -> Path:
    """Let a download break off; returns what is kept of it."""
    upstream.breaks_after = after
    with pytest.raises(DataUnavailableError):
        fetch(file)
    upstream.breaks_after = None
    (part,) = left_in(cache.parent)
    return part


def test_the_mirror_is_asked_first_then_the_cache_then_the_network(file, upstream, cache, mirror):
    put(mirror)
    put(cache)
    assert fetch(file) == mirror
    mirror.unlink()
    assert fetch(file) == cache
    assert upstream.asked == []
    cache.unlink()
    assert fetch(file) == cache
    assert upstream.asked == [None]


def test_a_file_that_is_nowhere_is_located_nowhere_without_asking_the_network(
    file, upstream, cache, mirror
):
    assert locate(file) is None
    assert upstream.asked == []


def test_a_download_is_whole_and_done_once(file, upstream, cache):
    assert fetch(file) == cache
    assert cache.read_bytes() == CONTENT
    assert left_in(cache.parent) == [cache]
    assert fetch(file) == cache
    assert upstream.asked == [None]


def test_a_wrong_file_in_the_mirror_is_ignored_for_the_cache_then_for_the_network(
    file, upstream, cache, mirror
):
    put(mirror, b"wrong")
    put(cache)
    assert fetch(file) == cache
    assert upstream.asked == []
    cache.unlink()
    assert fetch(file) == cache
    assert upstream.asked == [None]


def test_a_wrong_file_in_the_mirror_is_warned_of_and_left_alone(file, mirror, caplog):
    put(mirror, b"wrong")
    with caplog.at_level(logging.WARNING, "hybridir_mteb.collections.download"):
        assert locate(file) is None
    for mentioned in (str(mirror), sha256_of(mirror), file.sha256):
        assert mentioned in caplog.messages[0]
    assert mirror.read_bytes() == b"wrong", "the mirror is the user's"


def test_a_wrong_file_in_the_cache_is_replaced(file, cache, caplog):
    put(cache, CONTENT[:-1])
    assert fetch(file) == cache
    assert cache.read_bytes() == CONTENT
    assert str(cache) in caplog.messages[0]


def test_a_broken_connection_keeps_the_part_and_the_error_names_the_ways_out(file, upstream, cache):
    upstream.breaks_after = CUT
    with pytest.raises(DataUnavailableError) as caught:
        fetch(file)
    (part,) = left_in(cache.parent)
    assert part.suffix == ".part"
    assert 0 < part.stat().st_size <= CUT
    assert CONTENT.startswith(part.read_bytes())
    message = str(caught.value)
    assert message.startswith(f"{NAME} is needed and not here: HYBRIDIR_DATA_DIR is not set")
    assert f"the download of {file.url} failed" in message
    assert "connect to the network and run again" in message
    assert f"put the file at <folder>/{NAME} and set HYBRIDIR_DATA_DIR=<folder>" in message


def test_the_next_try_transfers_only_the_rest(file, upstream, cache):
    have = broken_download(file, upstream, cache).stat().st_size
    assert fetch(file) == cache
    assert cache.read_bytes() == CONTENT
    assert left_in(cache.parent) == [cache]
    assert upstream.asked == [None, f"bytes={have}-"]
    assert upstream.statuses[1] == 206
    assert upstream.sent[1] == len(CONTENT) - have


def test_a_download_that_breaks_twice_goes_on_from_the_second_break(file, upstream, cache):
    first = broken_download(file, upstream, cache).stat().st_size
    second = broken_download(file, upstream, cache, after=100_000).stat().st_size
    assert first < second <= first + 100_000
    assert fetch(file).read_bytes() == CONTENT
    assert upstream.asked == [None, f"bytes={first}-", f"bytes={second}-"]


@pytest.mark.parametrize(
    ("part", "ranges", "asked", "status"),
    [
        (CONTENT[:7], True, "bytes=7-", 206),
        (b"", True, None, 200),
        # Longer than the file, and the server sends everything again: nothing of it may stay.
        (b"x" * (len(CONTENT) + 10), False, f"bytes={len(CONTENT) + 10}-", 200),
        (CONTENT, True, f"bytes={len(CONTENT)}-", 416),
    ],
    ids=["truncated", "empty", "ranges ignored", "complete"],
)
def test_whatever_part_there_is_the_file_becomes_whole(
    file, upstream, cache, part, ranges, asked, status
):
    put(broken_download(file, upstream, cache), part)
    upstream.ranges = ranges
    assert fetch(file) == cache
    assert cache.read_bytes() == CONTENT
    assert left_in(cache.parent) == [cache]
    assert upstream.asked == [None, asked]
    assert upstream.statuses == [200, status]


@pytest.mark.parametrize(
    "content", [b"x" * CUT, CONTENT + b"x"], ids=["another file's", "longer than the file"]
)
def test_a_part_of_something_else_is_discarded_and_the_try_after_works(
    file, upstream, cache, content
):
    put(broken_download(file, upstream, cache), content)
    with pytest.raises(ChecksumError):
        fetch(file)
    assert left_in(cache.parent) == []
    assert fetch(file).read_bytes() == CONTENT


def test_the_part_of_another_revision_is_not_continued(file, upstream, cache):
    broken_download(file, upstream, cache)
    upstream.content = b"the next revision"
    revised = replace(file, sha256=hashlib.sha256(upstream.content).hexdigest())
    assert fetch(revised).read_bytes() == b"the next revision"
    assert upstream.asked == [None, None]


def test_a_server_that_compresses_can_be_resumed_too(file, upstream, cache):
    """As raw.githubusercontent.com does for text, if the client accepts it; requests does."""
    upstream.compresses = True
    broken_download(file, upstream, cache)
    assert fetch(file).read_bytes() == CONTENT
    assert upstream.statuses == [200, 206]


def test_wrong_content_is_a_checksum_error_and_leaves_nothing(file, upstream, cache):
    upstream.content = b"another revision"
    with pytest.raises(ChecksumError) as caught:
        fetch(file)
    for mentioned in (file.url, file.sha256, hashlib.sha256(b"another revision").hexdigest()):
        assert mentioned in str(caught.value)
    assert left_in(cache.parent) == []
    assert locate(file) is None


@pytest.mark.parametrize("status", [404, 403, 500])
def test_a_server_that_refuses_is_named_with_its_status(file, upstream, cache, mirror, status):
    upstream.status = status
    with pytest.raises(DataUnavailableError) as caught:
        fetch(file)
    assert f"not in the mirror {mirror.parents[1]}" in str(caught.value)
    assert f"the download of {file.url} failed: {status}" in str(caught.value)
    assert left_in(cache.parent) == []


def test_a_refusal_does_not_cost_what_was_downloaded_before(file, upstream, cache):
    part = broken_download(file, upstream, cache)
    before = part.read_bytes()
    upstream.status = 503
    with pytest.raises(DataUnavailableError):
        fetch(file)
    assert part.read_bytes() == before


def test_no_server_at_all_is_named_with_both_ways_out(cache):
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_port
    with pytest.raises(DataUnavailableError, match=r"Either .* run again .*, or put the file at"):
        fetch(DataFile(NAME, f"http://127.0.0.1:{port}/{NAME}", "0" * 64))


def test_a_cache_that_cannot_be_written_is_named_with_both_ways_out(file, tmp_path, cache):
    put(tmp_path / "cache", b"a file where the folder should be")
    with pytest.raises(DataUnavailableError, match="HYBRIDIR_DATA_DIR=<folder>"):
        fetch(file)


def test_two_threads_that_fetch_at_once_download_once(file, upstream, cache):
    upstream.delay_s = 0.2
    together = threading.Barrier(2)

    def fetch_together() -> Path:
        together.wait()
        return fetch(file)

    with ThreadPoolExecutor(2) as pool:
        found = [future.result() for future in [pool.submit(fetch_together) for _ in range(2)]]
    assert found == [cache, cache]
    assert cache.read_bytes() == CONTENT
    assert upstream.asked == [None]
