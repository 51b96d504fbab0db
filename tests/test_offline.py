"""Tests touch nothing outside: no machine, login or store, whatever the user's variables say."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from toys import TESTS, offline
from toys.cli import succeed

ABROAD = "192.0.2.1"  # an address of documentation (RFC 5737)


def asked(*attempt: object) -> str:
    """What was refused, and that the fixture does not see it."""
    with pytest.raises(sys._tests_stay_here):
        attempt[0](*attempt[1:])
    return offline.attempts()


@pytest.mark.parametrize(
    ("attempt", "event"),
    [
        ((socket.create_connection, (ABROAD, 80), 1), "socket.getaddrinfo"),
        ((socket.getaddrinfo, "example.org", 443), "socket.getaddrinfo"),
        ((socket.gethostbyname, "example.org"), "socket.gethostbyname"),
        ((lambda: socket.socket().connect((ABROAD, 80)),), "socket.connect"),
        ((lambda: socket.socket().connect_ex((ABROAD, 80)),), "socket.connect"),
        ((lambda: udp().sendto(b"", (ABROAD, 53)),), "socket.sendto"),
        ((lambda: udp().sendmsg([b""], [], 0, (ABROAD, 53)),), "socket.sendmsg"),
        ((lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 1)),), "socket.connect"),
    ],
)
def test_connections_beyond_this_machine_are_refused_and_name_the_test(attempt, event, request):
    said = asked(*attempt)
    assert said.startswith(f"tests/test_offline.py::{request.node.name} (call): {event} to ")
    assert said.endswith("tests stay on this machine\n")


def udp() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def test_this_machine_can_be_reached(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, server.getsockname()[1]), 5).close()
    with socket.socket(socket.AF_UNIX) as other, pytest.raises(FileNotFoundError):
        other.connect(str(tmp_path / "none"))
    assert offline.attempts() == ""


CONNECT = f"""
import socket
try:
    socket.create_connection(({ABROAD!r}, 80), 1)
except Exception as error:
    print(type(error).__name__)
"""


def test_processes_of_tests_are_refused_too_even_if_they_swallow_the_error():
    assert succeed(sys.executable, "-c", CONNECT).stdout == "ConnectionForbiddenError\n"
    assert "test_processes_of_tests_are_refused" in offline.attempts()


@pytest.mark.slow
def test_a_test_that_swallows_the_refusal_fails_all_the_same(tmp_path):
    (tmp_path / "test_x.py").write_text(
        f"import subprocess, sys\ndef test_swallows():\n    code = {CONNECT!r}\n"
        "    subprocess.run([sys.executable, '-c', code])\ndef test_after():\n    pass\n"
    )
    path = os.pathsep.join([str(TESTS), os.environ["PYTHONPATH"]])
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-rA", "test_x.py"]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "connections were refused" in done.stdout
    assert "ERROR test_x.py::test_swallows" in done.stdout
    assert "2 passed, 1 error" in done.stdout


def test_the_file_of_that_name_which_ours_hides_is_run(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.hidden = 1")
    path = os.pathsep.join([os.environ["PYTHONPATH"], str(tmp_path)])
    code = "import sys; print(sys.hidden, sys._tests_stay_here.__name__)"
    done = succeed(sys.executable, "-c", code, PYTHONPATH=path)
    assert (done.stdout, done.stderr) == ("1 ConnectionForbiddenError\n", "")


def test_nothing_has_read_the_environment_before_it_was_set():
    assert offline.read_before == set()


def test_libraries_are_offline_and_their_places_are_not_the_users():
    import datasets
    import huggingface_hub.constants as hub

    home = Path(os.environ["HOME"])
    assert hub.HF_HUB_OFFLINE
    assert hub.HF_HUB_DISABLE_TELEMETRY
    for place in (hub.HF_HOME, hub.HF_HUB_CACHE, hub.HF_TOKEN_PATH, datasets.config.HF_CACHE_HOME):
        assert Path(place).is_relative_to(home)
    from huggingface_hub import get_token
    from mteb.cache import ResultCache

    assert get_token() is None
    assert ResultCache().cache_path.is_relative_to(home)


# What users have in their environment, at its worst; .ci/run takes it for the whole run.
HOSTILE = dict(
    line.split("=", 1) for line in (offline.HERE / "hostile.env").read_text("utf-8").splitlines()
)


def test_no_variable_of_the_user_decides_anything(tmp_path):
    assert offline.cleaned({**os.environ, **HOSTILE}, tmp_path) == offline.cleaned(
        {k: v for k, v in os.environ.items() if k not in HOSTILE}, tmp_path
    )


def test_relative_places_stay_where_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    user = {"PYTHONPATH": f"a{os.pathsep}{os.pathsep}/b", "HYBRIDIR_DATA_DIR": "data"}
    made = offline.cleaned(user, tmp_path)
    path = [str(TESTS / "toys" / "offline"), str(tmp_path / "a"), "/b"]
    assert made["PYTHONPATH"].split(os.pathsep) == path
    assert made["HYBRIDIR_DATA_DIR"] == str(tmp_path / "data")
