"""A hub on this machine that misbehaves."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


def answer(
    status: int = 200, body: bytes = b"no", length: int | None = None, **headers: str
) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer to every request.

    Args:
        status: Of HTTP.
        body: What is sent, JSON or not.
        length: What is said of the body's length; by default the truth.
        **headers: More heads, with ``_`` for ``-``.
    """

    def give(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    return give


def hang_up(request: BaseHTTPRequestHandler) -> None:
    """No answer at all."""
    request.connection.close()


def gibberish(request: BaseHTTPRequestHandler) -> None:
    """Not HTTP."""
    request.wfile.write(b"220 mail ready\r\n")


BAD = {
    "401": answer(401),
    "403": answer(403, json.dumps({"error": "not yours\nnor mine"}).encode()),
    "404": answer(404),
    "429": answer(429, retry_after="0"),
    "500": answer(500, b"<html>\n<h1>Oh</h1>\n</html>"),
    "503": answer(503),
    "circle": answer(302, location="/again"),
    "portal": answer(200, b"<html>Accept our terms</html>", content_type="text/html"),
    "list": answer(200, b"[]", content_type="application/json"),
    "truncated": answer(200, b'{"id": ', length=1000, content_type="application/json"),
    "compressed": answer(200, b"not gzip", content_encoding="gzip"),
    "nothing": hang_up,
    "gibberish": gibberish,
}


class Handler(BaseHTTPRequestHandler):
    """Any request gets the same answer."""

    reply: Callable[[BaseHTTPRequestHandler], None]

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        self.reply(self)

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def bad_hub(reply: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """The address of a server that answers everything in one way."""
    handler = type("Bad", (Handler,), {"reply": staticmethod(reply)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def use_hub(address: str, patch: pytest.MonkeyPatch) -> None:
    """Make the hub's client online, at another address, and not wait between tries."""
    import datasets
    from huggingface_hub import constants, hf_api
    from huggingface_hub.utils import _http

    patch.setattr(constants, "HF_HUB_OFFLINE", False)
    patch.setattr(constants, "ENDPOINT", address)
    patch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    patch.setattr(hf_api.api, "endpoint", address)
    patch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    patch.setattr(datasets.config, "HF_ENDPOINT", address)
    patch.setattr(_http.time, "sleep", lambda _: None)
