"""Workers that are lost, with a stand-in for Ray that loses them when it is told to."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys.ray import FakeRay
from toys.shards import folder_of

from hybridir_mteb.adapters.ray.search import ClusterSearch
from hybridir_mteb.adapters.ray.workers import ATTEMPTS, LOST_AT_START, Crew, Size
from hybridir_mteb.errors import ClusterError, ShardError
from hybridir_mteb.ranking.arrays import Relevance
from hybridir_mteb.ranking.shards import dense, search
from hybridir_mteb.ranking.shards.joint import Wanted, search_jointly

SIZE = Size(workers=3, threads=1, gpus=0)


def squares() -> Any:
    return square


def square(number: int) -> int:
    if number == 13:
        raise ShardError("no thirteenth")
    return 1 // (number - 14) * 0 + number * number


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), workers=st.integers(1, 4), n=st.integers(0, 12))
def test_each_task_is_done_once_whoever_is_lost(monkeypatch, seed, workers, n):
    chance = random.Random(seed)
    losses: dict[Any, int] = {}

    def lost(method: str, arguments: tuple[Any, ...]) -> bool:
        task = arguments[-1:] or method
        if losses.get(task, 0) == ATTEMPTS - 1 or chance.random() < 0.6:
            return False
        losses[task] = losses.get(task, 0) + 1
        return True

    ray = FakeRay(monkeypatch, lost)
    crew = Crew(Size(workers, 1, 0))
    for _ in range(2):  # the same workers for both runs
        assert sorted(crew.run(squares, range(n))) == [(at, at * at) for at in range(n)]
        losses.clear()
    crew.end()
    assert not ray.alive


def test_a_task_that_loses_its_workers_ends_the_run(monkeypatch):
    tries = []

    def lost(method: str, arguments: tuple[Any, ...]) -> bool:
        tries.append(arguments[-1:])
        return arguments[-1:] == (5,)

    FakeRay(monkeypatch, lost)
    with pytest.raises(ClusterError, match=f"task 5 has lost {ATTEMPTS} workers"):
        list(Crew(SIZE).run(squares, range(9)))
    assert tries.count((5,)) == ATTEMPTS


@pytest.mark.parametrize(
    ("number", "error", "said"),
    [
        (13, ShardError, "^no thirteenth$"),
        (14, ClusterError, "task 14 failed on a worker: ZeroDivisionError"),
    ],
)
def test_an_error_ends_the_run_at_once(monkeypatch, number, error, said):
    tries = []
    ray = FakeRay(monkeypatch, lambda method, arguments: tries.append(arguments[-1:]))
    crew = Crew(SIZE)
    with pytest.raises(error, match=said):
        list(crew.run(squares, [number, 1, 2]))
    assert tries.count((number,)) == 1
    assert list(crew.run(squares, [4])) == [(4, 16)]  # whoever had something in hand is replaced
    crew.end()
    assert not ray.alive


def test_workers_that_never_start_end_the_run(monkeypatch):
    ray = FakeRay(monkeypatch, lambda method, arguments: method == "where")
    with pytest.raises(ClusterError, match=f"{LOST_AT_START} workers in a row"):
        list(Crew(SIZE).run(squares, [1]))
    assert len(ray.actors) == SIZE.workers + LOST_AT_START - 1


def test_nobody_waits_for_ever_for_a_worker(monkeypatch):
    ray = FakeRay(monkeypatch, lambda method, arguments: False)
    crew = Crew(SIZE)
    crew._ray.wait = lambda *_, **__: ([], [])
    monkeypatch.setattr("hybridir_mteb.adapters.ray.workers.PATIENCE_S", 0.05)
    with pytest.raises(ClusterError, match=r"no worker has started for .* 1 cores and 0 GPUs"):
        list(crew.run(squares, [1]))
    assert len(ray.actors) == SIZE.workers


def test_tasks_are_asked_for_as_they_are_needed(monkeypatch):
    FakeRay(monkeypatch, lambda method, arguments: False)
    asked = []

    def endless() -> Any:
        for at in range(1000):
            asked.append(at)
            yield at

    for number, _ in Crew(SIZE).run(squares, endless()):
        if number >= 6:
            break
    assert len(asked) <= 7 + SIZE.workers


def test_search_by_workers_of_which_some_are_lost_finds_what_one_process_finds(
    monkeypatch, tmp_path
):
    chance, rng = random.Random(1), np.random.default_rng(1)
    lost_with: set[Any] = set()

    def lost(method: str, arguments: tuple[Any, ...]) -> bool:
        if method == "where" or arguments[1:] in lost_with or chance.random() < 0.5:
            return False
        lost_with.add(arguments[1:])
        return True

    FakeRay(monkeypatch, lost)
    vectors = rng.integers(-1, 2, (95, 6)).astype(np.float32)
    pools = [folder_of(tmp_path, vectors, [f"d{at}" for at in range(95)])]
    queries = rng.integers(-1, 2, (7, 6)).astype(np.float32)
    relevance = Relevance.from_lists([[at, at + 50] for at in range(7)])
    found = ClusterSearch(Crew(SIZE))(queries, pools, 12, relevance=relevance)
    whole = search(queries, pools, 12, relevance=relevance)
    for name in ("rows", "scores", "ranks"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    assert len(lost_with) > 3


def test_workers_read_a_pool_once_for_all_that_is_searched_in_it(monkeypatch, tmp_path):
    FakeRay(monkeypatch, lambda method, arguments: False)
    rng = np.random.default_rng(2)
    vectors = rng.integers(-1, 2, (95, 6)).astype(np.float32)
    pools = [folder_of(tmp_path, vectors, [f"d{at}" for at in range(95)])]
    wanted = [
        Wanted(
            rng.integers(-1, 2, (n, 6)).astype(np.float32),
            Relevance.from_lists([[at, at + 50] for at in range(n)]),
        )
        for n in (7, 2, 5)
    ]
    alone = [search(one.queries, pools, 12, relevance=one.relevance) for one in wanted]
    reads, theirs = [], dense.read_blocks
    monkeypatch.setattr(dense, "read_blocks", lambda *of: reads.append(of) or theirs(*of))
    found = search_jointly(wanted, pools, 12, ClusterSearch(Crew(SIZE)))
    assert len(reads) == pools[0].n_shards  # here each part is one shard
    for ours, expected in zip(found, alone, strict=True):
        for name in ("rows", "scores", "ranks"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(expected, name))
