"""Tests touch nothing outside: no machine, login or store, whatever the user's variables say."""

import os
import socket
import sys
from pathlib import Path

import pytest
from toys import TESTS, offline
from toys.cli import succeed
from toys.offline import sitecustomize as guard

ABROAD = "192.0.2.1"  # an address of documentation (RFC 5737)


def asked(*attempt: object) -> str:
    """What was refused, and that the fixture does not see it."""
    with pytest.raises(guard.ConnectionForbiddenError):
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


def test_the_file_of_that_name_which_ours_hides_is_run(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.hidden = 1")
    path = os.pathsep.join([os.environ["PYTHONPATH"], str(tmp_path)])
    code = "import sys; print(sys.hidden, sys._tests_stay_here)"
    done = succeed(sys.executable, "-c", code, PYTHONPATH=path)
    assert (done.stdout, done.stderr) == ("1 True\n", "")


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


# What users have in their environment, at its worst.
HOSTILE = {
    "ACCELERATE_USE_CPU": "maybe",
    "ALL_PROXY": "socks9://proxy.invalid:1",
    "COLUMNS": "7",
    "FORCE_COLOR": "1",
    "GIT_DIR": "/dev/null",
    "HF_DATASETS_CACHE": "/dev/null/datasets",
    "HF_DATASETS_OFFLINE": "0",
    "HF_ENDPOINT": "http://hub.invalid",
    "HF_HOME": "/dev/null/hf",
    "HF_HUB_CACHE": "/dev/null/hub",
    "HF_HUB_OFFLINE": "0",
    "HF_TOKEN": "hf_of_the_user",
    "HOME": "/dev/null",
    "HTTPS_PROXY": "http://proxy.invalid:1",
    "HUGGING_FACE_HUB_TOKEN": "hf_of_the_user",
    "HYBRIDIR_AUTOLOAD": "0",
    "HYBRIDIR_CACHE_DIR": "/dev/null/cache",
    "HYBRIDIR_COLLECTIONS": "/dev/null/collections",
    "HYBRIDIR_EMBEDDING_STORE": "0",
    "HYBRIDIR_EMBEDDING_STORE_GB": "much",
    "HYBRIDIR_MODEL_STORE": "/dev/null/encoders",
    "HYBRIDIR_SHARD_DIR": "/dev/null/shards",
    "HYBRIDIR_SHARD_DTYPE": "int1",
    "LANG": "tr_TR.ISO-8859-9",
    "LC_ALL": "C",
    "LINES": "3",
    "MASTER_ADDR": "cluster.invalid",
    "MTEB_CACHE": "/dev/null/mteb",
    "NETRC": "/dev/null/netrc",
    "NO_COLOR": "1",
    "OMP_NUM_THREADS": "none",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONHASHSEED": "1",
    "PYTHONIOENCODING": "ascii",
    "PYTHONUTF8": "0",
    "PYTHONWARNINGS": "error",
    "RANK": "3",
    "REQUESTS_CA_BUNDLE": "/dev/null/ca",
    "SSL_CERT_FILE": "/dev/null/ca",
    "TERM": "dumb",
    "TMPDIR": "/dev/null",
    "TOKENIZERS_PARALLELISM": "maybe",
    "TRANSFORMERS_CACHE": "/dev/null/transformers",
    "TRANSFORMERS_OFFLINE": "0",
    "TZ": "Pacific/Chatham",
    "WORLD_SIZE": "8",
    "XDG_CACHE_HOME": "/dev/null/xdg",
    "XDG_DATA_HOME": "/dev/null/xdg",
    "http_proxy": "http://proxy.invalid:1",
    "https_proxy": "http://proxy.invalid:1",
    "no_proxy": "",
}


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
