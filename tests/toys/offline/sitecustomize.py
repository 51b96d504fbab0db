"""Refuses connections beyond this machine, in the tests and in the processes that they start.

Python runs this file at its start where its folder is on ``PYTHONPATH``. An attempt is written down
as well, since whoever made it may swallow the error; ``conftest.py`` fails the test then.
"""

import importlib.machinery
import importlib.util
import os
import sys

LOG = "TESTS_CONNECTIONS"  # names the file that attempts are written to
HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 -- quick
# Events of Python's audit, and which of their arguments is the address or the host.
EVENTS = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
}


class ConnectionForbiddenError(RuntimeError):
    """A test tried to leave the machine. No OSError: that would be tried again for minutes."""


def is_here(address):
    """Whether an address, or a host by its name, is on this machine."""
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(address, tuple) and not isinstance(host, str | bytes):
        return True  # not of the internet, such as netlink
    if isinstance(host, bytes | bytearray):
        host = host.decode(errors="replace")
    if host in {None, "", "localhost", os.uname().nodename}:  # torchrun asks for its own name
        return True
    from ipaddress import ip_address  # here, because every Python would load it at its start

    try:
        ip = ip_address(host.partition("%")[0])
    except ValueError:  # a name: asking for its address is a connection already
        return False
    return ip.is_loopback or ip.is_unspecified or _is_own(ip)


def _is_own(ip):
    """Whether an address is one of this machine's: Ray's processes meet at it."""
    import socket

    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family) as tried:
            tried.bind((str(ip), 0))
    except OSError:
        return False
    return not (ip.is_multicast or str(ip) == "255.255.255.255")


def refuse(event, arguments):
    """The audit hook: raises where a socket is to reach another machine.

    Raises:
        ConnectionForbiddenError: It is.
    """
    if event not in EVENTS:
        return
    address = arguments[EVENTS[event]]
    of_names = event.startswith("socket.get")
    if is_here(address) or not (of_names or isinstance(address, tuple)):  # else a unix socket
        return
    test = os.environ.get("PYTEST_CURRENT_TEST", "no test")
    said = f"{test}: {event} to {address!r}: tests stay on this machine"
    if LOG in os.environ:
        with open(os.environ[LOG], "a", encoding="utf-8") as log:  # noqa: PTH123
            log.write(f"{said}\n")
    raise ConnectionForbiddenError(said)


def install():
    """Refuse from now on, in this process; a second time does nothing."""
    if not hasattr(sys, "_tests_stay_here"):
        sys._tests_stay_here = ConnectionForbiddenError
        sys.addaudithook(refuse)


def run_next():
    """Run the file of this name that this one has hidden, if there is one."""
    others = [place for place in sys.path if os.path.realpath(place) != os.path.realpath(HERE)]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if __name__ == "sitecustomize":
    install()
    run_next()
