"""What is fetched from other machines or sent to them: any failure is one line with the remedy.

Clients of HTTP have no common base of errors, wrap one another's, and change from version to
version, so errors are told apart by their numbers and by the names of their classes.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import getproxies

from hybridir_mteb.errors import DataUnavailableError, HybridIRError, one_line

CAUSE_LIMIT = 300
LONGEST_WORD = 40  # no part of it is left out; what is longer is no word
CONNECT = "connect to the network"
PROXY = "check the proxy that the environment names (HTTPS_PROXY, ALL_PROXY)"
LOGIN = "check name and revision, and log in (hf auth login) with an account that may do this"
TLS = "check the certificates (SSL_CERT_FILE, REQUESTS_CA_BUNDLE) and the clock of this machine"
ENDPOINT = "check the address, HF_ENDPOINT and the proxy: no such answer comes from the hub"
ONLINE = "unset HF_HUB_OFFLINE, HF_DATASETS_OFFLINE and TRANSFORMERS_OFFLINE"
BUSY = "wait some minutes, or log in (hf auth login) for a higher limit"
REFUSED = "check what the server says: it refuses this"
SERVER = "wait until the server is well again"
SPACE = "free space on the disk, or choose another place (HF_HOME, HYBRIDIR_CACHE_DIR)"
PLACE = "make it writable, or choose another place (HF_HOME, HYBRIDIR_CACHE_DIR)"

_BY_STATUS = {401: LOGIN, 403: LOGIN, 404: LOGIN, 407: PROXY, 429: BUSY}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
_BY_CLASS = {
    "OfflineModeIsEnabled": ONLINE,
    "ProxyError": PROXY,
    "InvalidProxyURL": PROXY,
    "SSLError": TLS,
    "LocalTokenNotFoundError": LOGIN,
    "HFValidationError": "give a name as the hub has them: owner/name",
    "TooManyRedirects": ENDPOINT,
    "DecodingError": ENDPOINT,
    "ContentDecodingError": ENDPOINT,
    "JSONDecodeError": ENDPOINT,
    "FileMetadataError": ENDPOINT,
    "InvalidURL": ENDPOINT,
    "UnsupportedProtocol": ENDPOINT,
    "InvalidSchema": ENDPOINT,
    "MissingSchema": ENDPOINT,
    "DatasetNotFoundError": LOGIN,
}
_BY_TEXT = {
    "TLS CA certificate": TLS,
    "proxy URL": PROXY,
    "offline mode is enabled": ONLINE,
    "OfflineModeIsEnabled": ONLINE,
    "outgoing traffic has been disabled": ONLINE,
}
# Bases of so much that they are asked last.
_WIDE = {"HTTPError", "RequestException", "ConnectionError", "TimeoutError", "gaierror"}


@contextmanager
def reached(what: str, otherwise: str = "", remedy: str = CONNECT) -> Iterator[None]:
    """Around whatever reaches another machine: what fails there is an error of ours.

    Args:
        what: What could not be done, in words.
        otherwise: What can be done instead, such as ``"give a local folder"``.
        remedy: What to do if the error does not show its cause.

    Raises:
        DataUnavailableError: Anything failed; errors of this package pass as they are.
    """
    try:
        with quiet():
            yield
    except HybridIRError:
        raise
    except Exception as error:  # see above
        cause, known = diagnose(error)
        advice = known or remedy
        end = f", or {otherwise}" if otherwise else ""
        said = f"{what}: {cause}. {advice[0].upper()}{advice[1:]}{end}"
        raise DataUnavailableError(said) from error


def diagnose(error: BaseException) -> tuple[str, str]:
    """What happened, in one line without the last full stop, and the remedy; "" if it is unknown.

    Args:
        error: What was raised; of those that led to it, the one that says most is taken.
    """
    chain = [error]
    # The error that led to another one, also where a library hides it (``from None``).
    while (inner := chain[-1].__cause__ or chain[-1].__context__) and inner not in chain:
        chain.append(inner)
    for find in (_by_number, _by_class, _by_text, _by_base):
        for one in chain:
            if remedy := find(one):
                return _text(one), _with_proxy(remedy)
    return _text(error), ""


def _text(error: BaseException) -> str:
    text = one_line(error, CAUSE_LIMIT).rstrip(".")
    words, _, last = text.rpartition(" ")
    return f"{words} …" if text.endswith("…") and len(last) < LONGEST_WORD else text


def _by_number(error: BaseException) -> str:
    """By the status that a server gave, or the error number that the system gave."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int) and status >= 400:
        return _BY_STATUS.get(status, SERVER if status >= 500 else REFUSED)
    number = getattr(error, "errno", None)
    if number in _FULL:
        return SPACE
    if getattr(error, "filename", None):
        return PLACE if number in _CLOSED else ""
    return TLS if number in {errno.ENOENT, errno.ENOTDIR} else ""  # OpenSSL names no file


def _bases(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _by_class(error: BaseException) -> str:
    names = _bases(error)
    return next((remedy for name, remedy in _BY_CLASS.items() if name in names), "")


def _by_text(error: BaseException) -> str:
    text = str(error)
    return next((remedy for part, remedy in _BY_TEXT.items() if part in text), "")


def _by_base(error: BaseException) -> str:
    return CONNECT if _WIDE & _bases(error) else ""


def _with_proxy(remedy: str) -> str:
    """Who has a proxy may have no other way out."""
    proxies = getproxies()
    named = proxies.get("https") or proxies.get("all") or proxies.get("http")
    return f"{remedy}, or {PROXY}" if remedy is CONNECT and named else remedy


@contextmanager
def quiet() -> Iterator[None]:
    """Without the hub's lines about tries that failed: the last one's error says it."""
    from huggingface_hub.utils.logging import get_logger

    handlers = get_logger("huggingface_hub").handlers
    for handler in handlers:
        handler.addFilter(_is_news)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Errors, and how long the hub makes one wait: that may be minutes."""
    return record.levelno >= logging.ERROR or "Waiting" in record.getMessage()
