"""A grid of encoders, seeds and tasks: each cell by itself, and none that is there done again."""

import pytest
from mteb.models.model_implementations import MODEL_REGISTRY
from toys import stored
from toys.cli import pipe, rows
from toys.encoders import HashEncoder, hash_embedding, meta
from toys.mteb import evaluate
from toys.ray import FakeRay
from toys.streamed import MONO, MULTI, task_of
from typer.testing import CliRunner

from hybridir_mteb.adapters.mteb import grid as module
from hybridir_mteb.adapters.mteb.grid import Cell, Grid, cells
from hybridir_mteb.adapters.ray.evaluate import evaluate_by
from hybridir_mteb.adapters.ray.workers import ATTEMPTS, Crew, Size
from hybridir_mteb.cli.app import app
from hybridir_mteb.errors import SettingError, UnknownNameError

GOOD, BAD = "test/hash", "test/broken"


@pytest.fixture
def loads(monkeypatch):
    """Names of the encoders that were loaded, one each time."""
    loaded = []

    def load(name, revision=None, **_):
        loaded.append(name)
        embed = hash_embedding if name == GOOD else lambda text: hash_embedding(text) * float("nan")
        return HashEncoder(fingerprint=name, embed=embed)

    for name in (GOOD, BAD):
        monkeypatch.setitem(MODEL_REGISTRY, name, meta(name, loader=load, loader_kwargs={}))
    monkeypatch.setattr(module, "task_of", task_of)
    module._loaded.cache_clear()
    return loaded


def test_what_fails_stops_nothing_and_what_is_there_is_not_run_again(loads, tmp_path):
    wanted, grid = cells([BAD, GOOD], [MONO, MULTI]), Grid(tmp_path)
    found = {cell: grid.evaluate(cell) for cell in wanted}
    assert [bool(one.error) for one in found.values()] == [True, True, False, False]
    assert "NaN or infinity" in found[wanted[0]].error
    whole = evaluate(HashEncoder(), [task_of(MONO), task_of(MULTI)], tmp_path / "whole")
    for cell, result in zip(wanted[2:], whole.task_results, strict=True):
        assert found[cell].score == round(result.get_score(), 6)
        assert found[cell].file.is_file()
        assert not found[cell].known
    assert loads == [BAD, GOOD]
    module._loaded.cache_clear()
    found[wanted[3]].file.write_text(found[wanted[3]].file.read_text()[:100])  # killed in writing
    again = {cell: grid.evaluate(cell) for cell in wanted[2:]}
    assert [one.known for one in again.values()] == [True, False]
    assert [one.score for one in again.values()] == [found[cell].score for cell in wanted[2:]]
    assert loads == [BAD, GOOD, GOOD]
    assert not list(tmp_path.glob("*lock*"))


def test_a_cell_that_keeps_losing_its_workers_has_failed_and_the_others_go_on(
    loads, tmp_path, monkeypatch
):
    wanted, tries = cells([GOOD], [MONO, MULTI]), []

    def lost(method, arguments):
        tries.append(arguments[-1:])
        return arguments[-1:] == (wanted[0],)

    FakeRay(monkeypatch, lost)
    found = dict(evaluate_by(Crew(Size(2, 1, 0)), Grid(tmp_path), wanted))
    assert f"{GOOD} on {MONO} has lost {ATTEMPTS} workers" in found[wanted[0]].error
    assert tries.count((wanted[0],)) == ATTEMPTS
    assert found[wanted[1]].score == Grid(tmp_path).evaluate(wanted[1]).score


def test_results_that_a_worker_wrote_elsewhere_are_none(loads, tmp_path, monkeypatch):
    FakeRay(monkeypatch, lambda *_: False)
    (cell,) = cells([GOOD], [MONO])
    sees = Grid.evaluate

    def elsewhere(grid, cell):
        found = sees(grid, cell)
        found.file.unlink()
        return found

    monkeypatch.setattr(Grid, "evaluate", elsewhere)
    ((_, found),) = evaluate_by(Crew(Size(1, 1, 0)), Grid(tmp_path), [cell])
    assert found.score is None
    assert "must be the same for all machines" in found.error


def test_seeds_are_the_stored_encoders_of_a_name(monkeypatch):
    monkeypatch.setattr(module, "task_of", task_of)
    for seed in (0, 1):
        folder = stored.put("xlmr-hybrid", f"seed-{seed}")
        stored.fill(folder, float(seed), recipe={"seed": seed}, created=f"2026-01-0{seed + 1}")
    one, two = sorted(module.trained.encoders(), key=lambda e: e.record["created"])[:2]
    assert one.name == two.name == stored.NAME
    (newest,) = cells([stored.NAME], [MONO])
    assert newest == Cell(stored.NAME, two.fingerprint, 1, MONO)
    every = cells([stored.NAME], [MONO, MULTI], seeds=True)
    assert [(cell.seed, cell.task) for cell in every] == [
        (1, MONO),
        (1, MULTI),
        (0, MONO),
        (0, MULTI),
    ]
    (chosen,) = cells([f"{stored.NAME}@{one.fingerprint[:9]}"], [MONO])
    assert chosen.seed == 0
    with pytest.raises(UnknownNameError, match="with revision 0000"):
        cells([f"{stored.NAME}@0000"], [MONO])


def test_names_are_looked_at_before_anything_is_run(tmp_path):
    with pytest.raises(UnknownNameError, match="PocketQARMonolingualRetrieval"):
        cells(["hybridir/pocket-base"], ["PocketQARMonolingualRetrieva"])
    with pytest.raises(UnknownNameError, match="hybridir/pocket-base"):
        cells(["hybridir/pocket-bas"], ["PocketQARMonolingualRetrieval"])
    with pytest.raises(SettingError, match="is a folder, and MTEB files results by name"):
        cells([str(tmp_path)], ["PocketQARMonolingualRetrieval"])


def test_the_command_shows_every_cell_and_fails_if_one_did(loads, tmp_path, monkeypatch):
    pipe(monkeypatch)
    command = ["evaluate", GOOD, BAD, "--task", MONO, "--output-folder", str(tmp_path)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "1 of 2 failed" in done.output
    head, *table = rows(done.output)
    cell = dict(zip(head, table[0], strict=True))
    assert (cell["encoder"], cell["task"], len(cell["main score"])) == (GOOD, MONO, 6)
    assert f"failed: {BAD} on {MONO}: " in done.output
    assert "NaN" in done.output
