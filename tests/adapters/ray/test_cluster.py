"""Ray itself, once: two workers on this machine, of which one is killed; what options say."""

import importlib
import os
import signal
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from toys import TESTS
from toys.cluster import ToyShards, contents
from toys.shards import Encoder, numbered, vector_of

from hybridir_mteb.adapters.ray.cluster import ClusterOptions, connected
from hybridir_mteb.adapters.ray.encode import fill_with
from hybridir_mteb.adapters.ray.search import ClusterSearch
from hybridir_mteb.cli.encode import with_address
from hybridir_mteb.errors import EmbeddingError, MissingExtraError, SettingError
from hybridir_mteb.ranking.arrays import Relevance
from hybridir_mteb.ranking.shards import fill, search
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.joint import Wanted, search_jointly

N = 118  # the last of twelve shards is not full
WANTED = [
    Wanted(np.stack([vector_of(f"query {at}") for at in of]), Relevance.from_lists([of, [7]]))
    for of in ([1, 2], [30, 117])
]


@pytest.mark.slow
def test_workers_of_which_one_is_killed_make_the_shards_of_one_process(tmp_path, monkeypatch):
    path = f"{os.environ['PYTHONPATH']}{os.pathsep}{TESTS}"
    monkeypatch.setenv("PYTHONPATH", path)  # of the workers, who know the toys from there
    # Else Ray asks which cloud it is in, and tells its makers that it may not report.
    (tmp_path / "ray_bootstrap_config.yaml").write_text("provider: {type: local}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_USAGE_STATS_REPORT_URL", "http://127.0.0.1:9")
    toy = ToyShards(tmp_path / "shards", N, tmp_path / "log", pause=0.05)

    def kill() -> None:
        while len(toy.begun()) < 4:
            time.sleep(0.01)
        os.kill(toy.begun()[-1][1], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    importlib.import_module("ray")  # which sets a variable that does nothing
    variables = dict(os.environ)
    with connected(ClusterOptions(workers=2, threads=1)) as crew:
        fill_with(crew, toy, toy.folder)
        again = {"parent": tmp_path / "poisoned", "log": tmp_path / "log of poisoned"}
        poisoned = replace(toy, poison="text 7", **again)
        with pytest.raises(EmbeddingError, match=r"^passage 'd7' of Toy sw: .* NaN"):
            fill_with(crew, poisoned, poisoned.folder)
        handed: list[int] = []
        run = crew.run
        monkeypatch.setattr(crew, "run", lambda do, of: handed.append(len(of)) or run(do, of))
        found = search_jointly(WANTED, [toy.folder], 5, ClusterSearch(crew))
    killer.join()
    assert dict(os.environ) == variables  # Ray's breakpoint() is not left to later processes
    assert handed == [8, 8]  # parts of the pool, once for all queries: their relevant passages, top
    for one, ours in zip(WANTED, found, strict=True):
        alone = search(one.queries, [toy.folder], 5, relevance=one.relevance)
        for name in ("rows", "scores", "ranks"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(alone, name))
    begun = [text for text, _ in toy.begun()]
    assert len(begun) - len(set(begun)) <= 1  # any may be the one that the killed worker had
    assert N // 10 + 1 <= len(begun) <= N // 10 + 1 + 2
    assert [text for text, _ in poisoned.begun()].count("text 0") == 1  # it is not tried again
    fill(ShardFolder(tmp_path / "one", toy.folder.key), numbered(N), Encoder())
    assert contents(toy.parent) == contents(tmp_path / "one")


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("encode T --ray", "encode T --ray local"),
        ("encode --ray T --encoder e", "encode --ray local T --encoder e"),
        ("encode T --ray auto --workers 2", "encode T --ray auto --workers 2"),
        ("encode T --ray ray://head:10001", "encode T --ray ray://head:10001"),
        ("search e T --ray 10.0.0.1:6379", "search e T --ray 10.0.0.1:6379"),
        ("search e T --ray=auto", "search e T --ray=auto"),
    ],
)
def test_an_address_may_be_left_out(given, whole):
    assert " ".join(with_address(given.split())) == whole


@pytest.mark.parametrize("address", ["", "head", "http://head:1", "head:x", "a b:1"])
def test_no_address_is_refused_with_those_that_there_are(address):
    with pytest.raises(SettingError, match="give local, auto, host:port or ray://host:port"):
        ClusterOptions(address)


def test_where_ray_is_not_installed_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(MissingExtraError, match=r'pip install "hybridir-mteb\[cluster\]"'),
        connected(ClusterOptions()),
    ):
        pass
