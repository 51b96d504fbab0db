"""Errors of other people's clients: the cause in one line, and the remedy that belongs to it."""

import errno
import json
import socket
import ssl

import httpx2
import pytest
import requests
from huggingface_hub.errors import (
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
)

from hybridir_mteb.errors import ChecksumError, DataUnavailableError
from hybridir_mteb.files.remote import (
    BUSY,
    CONNECT,
    ENDPOINT,
    LOGIN,
    ONLINE,
    PLACE,
    PROXY,
    REFUSED,
    SERVER,
    SPACE,
    TLS,
    diagnose,
    reached,
)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setattr("hybridir_mteb.files.remote.getproxies", dict)


def status(code: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = code
    return requests.HTTPError(f"{code} of the server", response=response)


def because(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


CAUSES = [
    (requests.ConnectionError("no route"), CONNECT),
    (requests.exceptions.ChunkedEncodingError("IncompleteRead(7 bytes read)"), CONNECT),
    (requests.ReadTimeout("slow"), CONNECT),
    (requests.exceptions.ProxyError("cannot connect"), PROXY),
    (requests.exceptions.InvalidProxyURL("x"), PROXY),
    (requests.exceptions.SSLError("self-signed"), TLS),
    (requests.TooManyRedirects("30"), ENDPOINT),
    (requests.exceptions.InvalidSchema("ftp"), ENDPOINT),
    (httpx2.ConnectError("[Errno -2] Name or service not known"), CONNECT),
    (httpx2.ConnectTimeout("timed out"), CONNECT),
    (httpx2.ReadError("[Errno 104] Connection reset by peer"), CONNECT),
    (httpx2.RemoteProtocolError("peer closed connection"), CONNECT),
    (httpx2.ProxyError("407"), PROXY),
    (httpx2.InvalidURL("no port"), ENDPOINT),
    (httpx2.UnsupportedProtocol("no scheme"), ENDPOINT),
    (because(httpx2.ConnectError("[SSL]"), ssl.SSLCertVerificationError("expired")), TLS),
    (ValueError("Unknown scheme for proxy URL URL('socks9://a')"), PROXY),
    (socket.gaierror(-2, "Name or service not known"), CONNECT),
    (TimeoutError("timed out"), CONNECT),
    (ConnectionResetError(errno.ECONNRESET, "reset"), CONNECT),
    (OSError(errno.ENOTDIR, "Not a directory"), TLS),
    (OSError("Could not find a suitable TLS CA certificate bundle"), TLS),
    (OSError(errno.ENOSPC, "No space left on device", "x"), SPACE),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), SPACE),
    (PermissionError(errno.EACCES, "Permission denied", "x"), PLACE),
    (FileExistsError(errno.EEXIST, "File exists", "x"), PLACE),
    (OfflineModeIsEnabled("offline"), ONLINE),
    (ConnectionError("Couldn't reach 'a' on the Hub (OfflineModeIsEnabled)"), ONLINE),
    (LocalTokenNotFoundError("no token"), LOGIN),
    (HFValidationError("a b"), "give a name as the hub has them: owner/name"),
    (because(LocalEntryNotFoundError("nothing here"), status(403)), LOGIN),
    (because(OSError("couldn't connect"), LocalEntryNotFoundError("nothing")), ""),
    (json.JSONDecodeError("Expecting value", "<html>", 0), ENDPOINT),
    (RuntimeError("Dataset scripts are no longer supported"), ""),
    *((status(code), LOGIN) for code in (401, 403, 404)),
    *((status(code), SERVER) for code in (500, 502, 503, 504)),
    (status(407), PROXY),
    (status(429), BUSY),
    (status(410), REFUSED),
]


@pytest.mark.parametrize(("error", "remedy"), CAUSES, ids=lambda one: type(one).__name__)
def test_an_error_has_its_remedy(error, remedy):
    assert diagnose(error)[1] == remedy


def test_the_deepest_error_that_says_something_is_told():
    inner = because(LocalEntryNotFoundError("please\ncheck"), httpx2.ConnectError("no\nname."))
    assert diagnose(because(OSError("could not load"), inner)) == ("no name", CONNECT)


def test_an_error_that_leads_to_itself_ends():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert diagnose(one) == ("one", "")


def test_who_has_a_proxy_is_told_of_it(monkeypatch):
    proxies = {"https": "http://user:secret@proxy:1"}
    monkeypatch.setattr("hybridir_mteb.files.remote.getproxies", lambda: proxies)
    assert diagnose(httpx2.ConnectError("no name")) == ("no name", f"{CONNECT}, or {PROXY}")


def test_a_message_names_what_why_and_what_to_do():
    with pytest.raises(DataUnavailableError) as caught, reached("a/b: not had", "give a folder"):
        raise httpx2.ConnectError("no\n\nname" + "x" * 1000)
    said = str(caught.value)
    assert said.startswith("a/b: not had: no namexxx")
    assert said.endswith("…. Connect to the network, or give a folder")
    assert len(said) < 400


def test_a_long_cause_is_cut_between_words():
    cause, _ = diagnose(ValueError("the answer was " + "incomprehensible " * 30))
    assert cause == "the answer was " + "incomprehensible " * 16 + "…"
    assert len(cause) <= 300


def test_errors_of_ours_pass_as_they_are():
    with pytest.raises(ChecksumError, match=r"^wrong$"), reached("x"):
        raise ChecksumError("wrong")
