"""Threads by the cores that are free."""

import os
from pathlib import Path

import pytest

from hybridir_mteb.encoders import threads


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody has chosen, there are eight cores, and no cgroup limits them."""
    for variable in (*threads.VARIABLES, "WORLD_SIZE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "_groups", lambda: [tmp_path])
    monkeypatch.setattr(threads, "SAMPLE_S", 0)


def busy(monkeypatch: pytest.MonkeyPatch, idle: int) -> None:
    """The next sample finds so many of eight cores idle."""
    ticks = iter([(1000, 400), (1000 + 800, 400 + 100 * idle)])
    monkeypatch.setattr(threads, "_ticks", lambda: next(ticks))


@pytest.mark.parametrize(("idle", "number"), [(8, 8), (3, 3), (0, 1)])
def test_a_thread_for_each_core_that_is_free_and_one_at_least(monkeypatch, idle, number):
    busy(monkeypatch, idle)
    chosen = threads.choose()
    assert chosen.number == number
    assert f"as {idle}.0 of 8 cores are free" in str(chosen)
    assert "OMP_NUM_THREADS" in str(chosen)


def test_no_more_than_affinity_and_cgroup_allow(monkeypatch, tmp_path):
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert threads.allowed_cores() == 8
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    assert threads.allowed_cores() == 2.5
    busy(monkeypatch, 8)
    assert threads.choose().number == 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    busy(monkeypatch, 8)
    assert threads.choose().number == 1


def test_who_has_chosen_is_obeyed(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert threads.choose() == threads.Threads(None, "OMP_NUM_THREADS=5")
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert threads.choose().number is None


def test_without_the_systems_file_the_load_tells(monkeypatch, tmp_path):
    monkeypatch.setattr(threads, "_STAT", tmp_path / "none")
    monkeypatch.setattr(os, "getloadavg", lambda: (6.2, 0, 0))
    assert threads.choose().number == 2
    (tmp_path / "stat").write_text("cpu 10 20 30 40 50 0 0 0 5 5\ncpu0 1\n")
    monkeypatch.setattr(threads, "_STAT", tmp_path / "stat")
    assert threads._ticks() == (150, 90)


def test_torch_is_told_once_and_only_to_use_fewer(monkeypatch, capsys):
    import torch

    told: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    busy(monkeypatch, 3)
    threads.use_free_cores()
    assert told == [3]
    assert capsys.readouterr().err.startswith("hybridir-mteb: threads: 3, as 3.0 of 8 cores")
    busy(monkeypatch, 8)
    threads.use_free_cores()
    assert told == [3]
    assert capsys.readouterr().err == ""
