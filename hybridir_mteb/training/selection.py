"""Choosing on held-out documents: the best step, when to stop, and how far to interpolate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from torch import Tensor
from transformers import TrainerCallback

from hybridir_mteb.encoders.encoder import Role
from hybridir_mteb.encoders.sentence import role_prompt
from hybridir_mteb.encoders.token_budget import Precision, TokenBudgetEncoder
from hybridir_mteb.errors import DataFormatError, TrainingError, one_line
from hybridir_mteb.files import replacing, sha256_of
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.ranking.arrays import FloatMatrix
from hybridir_mteb.training.held_out import HeldOut, HeldOutScores
from hybridir_mteb.training.sharding import ShardedEncoder, agreed, is_sharded
from hybridir_mteb.training.weights import blend, load_trained_state, trained_state

BEST = "best.safetensors"


def evaluate(model: SentenceTransformer, held_out: HeldOut, precision: Precision) -> HeldOutScores:
    """Held-out scores of a model as it is now, in a precision that need not be that of training."""
    sharded = is_sharded(model)
    encoder = (ShardedEncoder if sharded else TokenBudgetEncoder)(model, precision=precision)

    def embed(texts: Sequence[str], role: Role) -> FloatMatrix:
        return encoder.encode(texts, role_prompt(model, role), role)

    was_training = model.training
    in_training = vars(model).pop("forward", None)  # accelerate's, which may compute in bf16
    model.eval()
    try:
        scores = held_out.evaluate(embed)
        return agreed(scores) if sharded else scores
    finally:
        model.train(was_training)
        if in_training is not None:
            vars(model)["forward"] = in_training


@dataclass(eq=False)
class SelectBest(TrainerCallback):
    """Evaluates every so many steps, keeps the best parameters, stops when nothing gets better.

    Attributes:
        model: The encoder.
        scores: Evaluates it.
        every: Steps between evaluations.
        patience: Evaluations without a better one before the run stops; 0 never stops it.
        folder: Where the best parameters are kept while the run goes on.
        log: The trainer's, which takes the scores into history, bar and TensorBoard.
    """

    model: SentenceTransformer
    scores: Callable[[], HeldOutScores]
    every: int
    patience: int
    folder: Path
    log: Callable[[dict[str, Any]], None]

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """See :class:`transformers.TrainerCallback`."""
        if state.global_step % self.every:
            return
        values = self.scores().as_dict()
        past = [row["criterion"] for row in state.log_history if "criterion" in row]
        logs = control.should_log
        self.log(values)
        control.should_log = logs  # which logging resets: the loss of this step is still to come
        first = state.is_world_process_zero
        better = values["criterion"] > max(past, default=-1.0)
        if better and (first or is_sharded(self.model)):
            parameters = trained_state(self.model)  # of all processes, if it is sharded
            if first:
                self._keep(parameters)
        best_at = max(range(len(past) + 1), key=lambda at: [*past, values["criterion"]][at])
        if self.patience and len(past) - best_at >= self.patience:
            control.should_training_stop = True

    def _keep(self, parameters: dict[str, Tensor]) -> None:
        file = self.folder / BEST
        with replacing(file) as temporary:
            save_file(parameters, temporary)
        write_record(file.with_suffix(".json"), {"digest": sha256_of(file)})

    def restore(self) -> None:
        """Put the best parameters into the model.

        Raises:
            TrainingError: They are not what was kept; those of version 0.1 have no checksum.
        """
        file = self.folder / BEST
        record = file.with_suffix(".json")
        try:
            if record.exists() and sha256_of(file) != read_record(record)["digest"]:
                raise DataFormatError(f"{file} differs from its checksum")
        except (DataFormatError, OSError) as error:
            raise TrainingError(
                f"the best parameters of the run are lost: {one_line(error)}. Remove {self.folder} "
                "and train again"
            ) from error
        if file.is_file():
            load_trained_state(self.model, load_file(file))


def interpolate(
    model: SentenceTransformer,
    start: dict[str, Tensor],
    weights: Sequence[float],
    scores: Callable[[], HeldOutScores] | None,
) -> tuple[float, dict[str, HeldOutScores]]:
    """Move a trained model part of the way back to its backbone, as far as held-out scores like it.

    With LoRA the backbone is where the second factor is zero, so the second factor is scaled,
    which scales the change of the weights; without, parameters are interpolated.

    Args:
        model: The trained encoder; left with the best weight's parameters.
        start: Its parameters before training.
        weights: Candidates, 1 for the trained encoder as it is.
        scores: Evaluates the model; None takes the first candidate.

    Returns:
        The best weight and the scores of each.
    """
    end = trained_state(model)
    if scores is None or len(weights) == 1:
        load_trained_state(model, blend(start, end, weights[0]))
        return weights[0], {}
    found: dict[str, HeldOutScores] = {}
    for weight in weights:
        load_trained_state(model, blend(start, end, weight))
        found[str(weight)] = scores()
    best = max(weights, key=lambda weight: found[str(weight)].criterion)
    load_trained_state(model, blend(start, end, best))
    return best, found
