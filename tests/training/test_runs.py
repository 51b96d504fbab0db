"""Runs that are killed: what a resumed one records, and who may work in a run's folder."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from toys.training import write_parallel_jsonl, write_tiny_xlmr

from hybridir_mteb import paths
from hybridir_mteb.errors import BusyError, NoSpaceError, SettingError, TrainingError
from hybridir_mteb.files import room
from hybridir_mteb.files.record import read_record
from hybridir_mteb.training import run as training_run
from hybridir_mteb.training.plan import make_plan, run_folder
from hybridir_mteb.training.recipe import make_recipe
from hybridir_mteb.training.run import train
from hybridir_mteb.training.runs import (
    PRECISION,
    RECORD,
    THREADS,
    clear_unfinished,
    same_precision,
    same_threads,
    unfinished,
    working_in,
)
from hybridir_mteb.training.trainer import COMPLETE, last_checkpoint, mean_loss

STEPS = 22
TIMES = {"train_runtime", "train_samples_per_second", "train_steps_per_second"}
AT_A_STEP = """
import os, signal, sys
from pathlib import Path
from hybridir_mteb.training import trainer
kind, number = sys.argv[2], int(sys.argv[3])
def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
class Killer(trainer.TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == number and kind == "step":
            kill()
    def on_save(self, args, state, control, **kwargs):
        if state.global_step == number and kind == "saved":
            kill()
made = trainer.EncoderTrainer.__init__
def init(self, *args, **kwargs):
    made(self, *args, **kwargs)
    self.callback_handler.callbacks.insert(len(self.callback_handler.callbacks), Killer())
    if kind == "saving":
        save = self._save
        self._save = lambda *a, **k: kill() if self.state.global_step == number else save(*a, **k)
trainer.EncoderTrainer.__init__ = init
if kind == "storing":
    from hybridir_mteb.training import run
    run.keep = kill
from hybridir_mteb.training.plan import make_plan
from hybridir_mteb.training.recipe import read_recipe
from hybridir_mteb.training.run import train
train(make_plan(read_recipe(Path(sys.argv[1])), leak_check=False))
"""


def test_an_interrupted_run_goes_on_with_its_number_of_threads(tmp_path, monkeypatch):
    number = [2]
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(torch, "get_num_threads", lambda: number[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda n: number.__setitem__(0, n))
    same_threads(tmp_path)
    number[0] = 4  # of another day
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    same_threads(tmp_path)
    assert number == [4]
    monkeypatch.delenv("OMP_NUM_THREADS")
    same_threads(tmp_path)
    assert number == [2]
    (tmp_path / THREADS).write_text("{")
    number[0] = 3
    same_threads(tmp_path)
    assert (number, read_record(tmp_path / THREADS)) == ([3], {"threads": 3})


def test_a_run_goes_on_in_the_precision_that_it_began_with(tmp_path):
    assert same_precision(tmp_path, lambda: "bf16") == "bf16"
    assert same_precision(tmp_path, lambda: pytest.fail("it measures again")) == "bf16"
    (tmp_path / PRECISION).write_text("{")
    assert same_precision(tmp_path, lambda: "fp32") == "fp32"
    assert read_record(tmp_path / PRECISION) == {"precision": "fp32"}


@pytest.fixture(scope="module")
def fields(tmp_path_factory, pocket_weights):
    """A recipe whose losses, checkpoints and evaluations do not fall on the same steps."""
    folder = tmp_path_factory.mktemp("training")
    return {
        "backbone": "xlmr",
        "method": "hybrid",
        "weights": str(write_tiny_xlmr(folder / "xlmr")),
        "data": [{"kind": "jsonl", "path": str(write_parallel_jsonl(folder / "data.jsonl", 60))}],
        "lora": {"rank": 2, "dropout": 0.1},
        "steps": STEPS,
        "batch_size": 8,
        "learning_rate": 1e-3,
        "precision": "fp32",
        "save_every": 5,
        "evaluate_every": 4,
        "held_out_items": 6,
    }


def plan_of(fields, **changes):
    return make_plan(make_recipe({**fields, **changes}), leak_check=False)


def curve(encoder):
    return [
        {name: value for name, value in row.items() if name not in TIMES}
        for row in encoder.record["curve"]
    ]


@pytest.fixture(scope="module")
def unbroken(fields, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRIDIR_MODEL_STORE", str(tmp_path_factory.mktemp("unbroken")))
        yield train(plan_of(fields))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "number"), [("step", 3), ("step", 12), ("saving", 10), ("storing", 0)]
)
def test_a_resumed_run_records_the_curve_of_an_unbroken_one(
    fields, unbroken, tmp_path, kind, number
):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(fields))
    killed = subprocess.run(
        [sys.executable, "-c", AT_A_STEP, recipe, kind, str(number)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert len(unfinished()) == 1
    resumed = train(plan_of(fields))
    assert curve(resumed) == curve(unbroken)
    assert resumed.fingerprint == unbroken.fingerprint
    assert resumed.record["selection"] == unbroken.record["selection"]
    assert unfinished() == []
    assert sorted(path.name for path in paths.model_store_dir().iterdir()) == [
        ".runs",
        "xlmr-hybrid",
    ]
    assert list((paths.model_store_dir() / ".runs").iterdir()) == []


@pytest.mark.slow
def test_runs_share_the_scores_of_their_backbone(fields, unbroken, tmp_path, monkeypatch):
    asked: list[int] = []
    evaluate = training_run.evaluate
    counted = lambda *given: asked.append(1) or evaluate(*given)  # noqa: E731
    monkeypatch.setattr(training_run, "evaluate", counted)

    def trained(place, **changes):
        monkeypatch.setenv("HYBRIDIR_MODEL_STORE", str(tmp_path / place))
        asked.clear()
        return train(plan_of(fields, **changes)), len(asked)

    first, times = trained("first")
    (kept,) = paths.held_out_dir().iterdir()
    second, fewer = trained("second")
    assert fewer == times - 1
    assert first.fingerprint == second.fingerprint == unbroken.fingerprint
    assert first.record["selection"] == second.record["selection"]
    other, fewer = trained("third", method="mono", seed=3)
    assert fewer == times - 1
    assert other.record["selection"]["backbone"] == first.record["selection"]["backbone"]
    kept.write_text(kept.read_text().replace("0.", "0.1", 1))
    assert trained("fourth")[1] == times  # damaged: computed again, and kept again
    assert trained("fifth")[1] == times - 1
    assert trained("sixth", held_out_items=5)[1] == times  # other questions
    assert trained("seventh", lora="none")[1] == times  # nothing is held in another precision


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"gradient_checkpointing": True}, {"mini_batch_size": 4}])
def test_another_library_trains_the_same(fields, tmp_path, monkeypatch, more):
    losses = []
    for library in ("blas", "onednn"):
        monkeypatch.setenv("HYBRIDIR_PRODUCTS", library)
        monkeypatch.setenv("HYBRIDIR_MODEL_STORE", str(tmp_path / library))
        trained = train(plan_of(fields, lora={"rank": 2}, steps=4, evaluate_every=0, **more))
        losses.append([row["loss"] for row in curve(trained) if "loss" in row])
    assert losses[0]
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.slow
def test_the_curve_has_each_step_once(unbroken):
    rows = curve(unbroken)
    losses = [row["step"] for row in rows if "loss" in row]
    assert losses == sorted(set(losses))
    assert [row["step"] for row in rows if "criterion" in row] == [4, 8, 12, 16, 20]
    assert rows[-1]["train_loss"] == pytest.approx(mean_loss(rows))
    assert rows[-1]["step"] == STEPS


def test_the_mean_loss_is_that_of_all_steps():
    rows = [{"loss": 3.0, "step": 1}, {"criterion": 9, "step": 3}, {"loss": 1.0, "step": 4}]
    assert mean_loss(rows) == pytest.approx((3.0 + 3 * 1.0) / 4)
    assert mean_loss([]) == 0


def marked(folder, step, text="weights"):
    from types import SimpleNamespace

    from hybridir_mteb.training.trainer import MarkComplete

    place = folder / f"checkpoint-{step}"
    place.mkdir(parents=True)
    (place / "trained.safetensors").write_text(text)
    state = SimpleNamespace(is_world_process_zero=True, global_step=step)
    MarkComplete().on_save(SimpleNamespace(output_dir=str(folder)), state, None)
    return place


@pytest.mark.parametrize("damage", ["content", "gone", "mark"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, caplog, damage):
    first, second = marked(tmp_path, 5), marked(tmp_path, 10)
    assert last_checkpoint(tmp_path) == second
    if damage == "content":
        (second / "trained.safetensors").write_text("weighty")
    elif damage == "gone":
        (second / "trained.safetensors").unlink()
    else:
        (second / COMPLETE).write_text((second / COMPLETE).read_text().replace("a", "b"))
    with caplog.at_level(logging.WARNING):
        assert last_checkpoint(tmp_path) == first
    assert f"{second} is not used" in caplog.text


def test_a_mark_of_version_0_1_counts(tmp_path):
    (tmp_path / "checkpoint-5").mkdir()
    (tmp_path / "checkpoint-5" / COMPLETE).touch()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-5"


def test_of_two_equal_trainings_the_second_says_who_is_at_work(fields, monkeypatch):
    plan = plan_of(fields)
    monkeypatch.setattr(training_run, "_prepare", lambda *_: pytest.fail("it loads the backbone"))
    with (
        working_in(run_folder(plan)),
        pytest.raises(BusyError, match=rf"the training in .* by process {os.getpid()} on "),
    ):
        train(plan)


def test_a_run_folder_that_is_a_file_or_of_another_run_is_one_message(fields, monkeypatch):
    monkeypatch.setattr(training_run, "_prepare", lambda *_: pytest.fail("it loads the backbone"))
    plan, other = plan_of(fields), plan_of(fields, seed=1)
    folder = run_folder(plan)
    folder.parent.mkdir(parents=True)
    folder.write_text("")
    with pytest.raises(TrainingError, match="is a file where checkpoints belong"):
        train(plan)
    folder.unlink()
    with working_in(run_folder(other)):
        pass
    run_folder(other).rename(folder)
    with pytest.raises(TrainingError, match="holds the checkpoints of another run, xlmr-hybrid-"):
        train(plan)
    (folder / RECORD).write_text("{")
    with pytest.raises(TrainingError, match=r"damaged.*; remove .* to train from the start"):
        train(plan)


def test_a_store_that_cannot_be_made_is_said_before_the_backbone_is_loaded(
    fields, tmp_path, monkeypatch
):
    monkeypatch.setattr(training_run, "_prepare", lambda *_: pytest.fail("it loads the backbone"))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HYBRIDIR_MODEL_STORE", str(tmp_path / "file" / "store"))
    with pytest.raises(SettingError, match=r"\(HYBRIDIR_MODEL_STORE\) cannot be made"):
        train(plan_of(fields))


def test_a_disk_too_small_for_the_checkpoints_is_said_before_training(fields, monkeypatch):
    usage = shutil.disk_usage(paths.model_store_dir())
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: usage._replace(free=10_000))
    monkeypatch.setattr(training_run, "_fit_and_choose", lambda *_: pytest.fail("it trains"))
    with pytest.raises(NoSpaceError, match=r"checkpoints of the run in .* and .* has 10 kB free"):
        train(plan_of(fields))


def test_runs_are_cleared_but_for_those_at_work(fields):
    plan, other = plan_of(fields), plan_of(fields, seed=1)
    with working_in(run_folder(other)):
        (run_folder(other) / "checkpoint").write_bytes(bytes(3000))
    with working_in(run_folder(plan)):
        assert [run.path for run in unfinished()] == sorted([run_folder(plan), run_folder(other)])
        assert clear_unfinished() > 3000
        assert [run.path for run in unfinished()] == [run_folder(plan)]
