"""The best parameters of a run are those that were kept, or the run ends with an error."""

from pathlib import Path
from types import MethodType, SimpleNamespace

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from toys.bert import write_bert

from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.errors import TrainingError
from hybridir_mteb.training.held_out import Embed, HeldOutScores
from hybridir_mteb.training.selection import BEST, SelectBest, evaluate

SCORES = HeldOutScores(0.5, 0.5, 0.5, 1.0, 0.5, 0.5, 10, 0.1)


def kept(folder: Path) -> tuple[torch.nn.Linear, SelectBest, torch.Tensor]:
    """A model that was trained on after its best parameters were kept."""
    model = torch.nn.Linear(3, 2)
    select = SelectBest(model, lambda: SCORES, 1, 0, folder, lambda values: None)
    state = SimpleNamespace(global_step=1, log_history=[], is_world_process_zero=True)
    select.on_step_end(None, state, SimpleNamespace(should_log=True))
    best = model.weight.detach().clone()
    with torch.no_grad():
        model.weight += 1
    return model, select, best


@pytest.mark.parametrize("version", ["now", "0.1"])
def test_the_best_parameters_come_back(tmp_path, version):
    model, select, best = kept(tmp_path)
    if version == "0.1":
        (tmp_path / BEST).with_suffix(".json").unlink()
    select.restore()
    assert torch.equal(model.weight, best)


@pytest.mark.parametrize("damage", ["a bit", "no file", "the record"])
def test_damaged_parameters_are_not_taken_for_the_best(tmp_path, damage):
    _, select, _ = kept(tmp_path)
    file = tmp_path / BEST
    if damage == "no file":
        file.unlink()
    else:
        file = file.with_suffix(".json") if damage == "the record" else file
        raw = bytearray(file.read_bytes())
        raw[-4] ^= 1
        file.write_bytes(bytes(raw))
    with pytest.raises(TrainingError, match=r"best parameters .* are lost: .* train again"):
        select.restore()


def test_a_selection_does_not_take_the_step_s_loss_out_of_the_curve(tmp_path):
    """Logging anything resets the flag; a resumed run would then record another curve."""
    control = SimpleNamespace(should_log=True)

    def log(values: dict[str, float]) -> None:
        control.should_log = False

    select = SelectBest(torch.nn.Linear(3, 2), lambda: SCORES, 1, 0, tmp_path, log)
    state = SimpleNamespace(global_step=1, log_history=[], is_world_process_zero=True)
    select.on_step_end(None, state, control)
    assert control.should_log


def test_held_out_scores_are_of_the_precision_that_is_asked_for_in_the_midst_of_training(tmp_path):
    """Accelerate replaces the model's forward pass by one in bf16."""

    class Spy:
        def evaluate(self, embed: Embed) -> np.ndarray:
            return embed(["w1 w2 w3", "w4"], "query")

    model = SentenceTransformer(str(write_bert(tmp_path / "bert")), device="cpu")
    plain = evaluate(model, Spy(), Precision.FP32)
    half = torch.autocast("cpu", dtype=torch.bfloat16)
    in_training = model.forward = MethodType(half(type(model).forward), model)
    assert np.array_equal(evaluate(model, Spy(), Precision.FP32), plain)
    assert not np.array_equal(evaluate(model, Spy(), Precision.BF16), plain)
    assert model.forward is in_training
    assert model(model.preprocess(["w4"]))["sentence_embedding"].dtype is torch.bfloat16
