"""``SentenceTransformerTrainer`` with our losses: resumes exactly, saves only what is trained.

Overrides of methods that the base class does not document are all in this module; a contract test
names the versions they were checked with.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformerTrainer
from transformers import TrainerCallback, TrainerState
from transformers.integrations.integration_utils import TensorBoardCallback
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME, TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from hybridir_mteb.errors import DataFormatError, one_line
from hybridir_mteb.files import replacing, sha256_of
from hybridir_mteb.files.progress import progress
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.training.sharding import is_sharded, load_optimizer_state, optimizer_state
from hybridir_mteb.training.weights import load_trained_state, trained_state

TRAINED = "trained.safetensors"
TERMS = "terms.safetensors"
COMPLETE = "complete"
COMPLETED = f"checkpoint-*/{COMPLETE}"
OF_RANK = re.compile(r"rng_state_\d+\.pth")  # written by each process of several
ROUNDING = 1e-6  # of a number of epochs that is a sum of fractions


logger = logging.getLogger(__name__)


class EncoderTrainer(SentenceTransformerTrainer):
    """Trains with a :class:`ContrastiveLoss`; see the base class for arguments."""

    loss: Any
    pair_sampler: Any = None
    optimizer: Any
    lr_scheduler: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)
        if self.pop_callback(ProgressCallback):
            self.add_callback(TrainingBar())
        self.add_callback(LogBeforeSaving())
        self.add_callback(MarkComplete())
        self.add_callback(StartEpoch(self))

    def log_to(self, folder: Path) -> None:
        """Where TensorBoard's logs go unless ``TENSORBOARD_LOGGING_DIR`` says otherwise."""
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, TensorBoardCallback) and callback.logging_dir is None:
                callback.logging_dir = str(folder)

    def get_batch_sampler(self, *args: Any, **kwargs: Any) -> Any:
        """The base class's, kept for :class:`StartEpoch`."""
        self.pair_sampler = super().get_batch_sampler(*args, **kwargs)
        return self.pair_sampler

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """None: the card is written from the run's record."""

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Tell the loss how far the run is, then compute it."""
        self.loss.progress = self.state.global_step / max(1, self.state.max_steps)
        return super().compute_loss(model, inputs, *args, **kwargs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add what the loss and its terms measured last."""
        if "train_loss" in logs:  # the base class knows this process's share of the run alone
            logs = {**logs, "train_loss": mean_loss(self.state.log_history)}
        if "loss" in logs:
            logs = {**logs, **{name: round(v, 5) for name, v in self.loss.metrics.items()}}
        super().log(logs, start_time)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or str(self.args.output_dir))
        parameters = trained_state(self.model)  # of all processes, if it is sharded
        if is_sharded(self.model) and not self.args.should_save:
            return
        terms = {
            f"{term.name}/{name}": value.detach().cpu().contiguous().clone()
            for term in self.loss.terms
            for name, value in term.state_dict().items()
        }
        for name, state in ((TRAINED, parameters), (TERMS, terms)):
            with replacing(folder / name) as temporary:
                save_file(state, temporary)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The base class gathers the whole of a sharded model, or saves nothing of it."""
        if is_sharded(self.model):
            self._save(output_dir)
        else:
            super().save_model(output_dir, _internal_call)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not is_sharded(self.model):
            super()._save_optimizer_and_scheduler(output_dir)
            return
        state = optimizer_state(self.model, self.optimizer.optimizer)
        if self.args.should_save:
            torch.save(state, Path(output_dir) / OPTIMIZER_NAME)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None or not is_sharded(self.model):
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        file = Path(checkpoint) / OPTIMIZER_NAME
        state = torch.load(file, weights_only=True) if self.is_world_process_zero() else {}
        load_optimizer_state(self.model, self.optimizer.optimizer, state)
        schedule = torch.load(Path(checkpoint) / SCHEDULER_NAME, weights_only=True)
        self.lr_scheduler.load_state_dict(schedule)

    def _load_from_checkpoint(self, checkpoint_path: str, model: Any = None) -> None:
        folder = Path(checkpoint_path)
        load_trained_state(self.model, load_file(folder / TRAINED))
        # safetensors does not know all names of torch's devices, such as cpu:0.
        state = {k: v.to(self.args.device) for k, v in load_file(folder / TERMS).items()}
        for term in self.loss.terms:
            prefix = f"{term.name}/"
            mine = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            term.load_state_dict(mine)

    def take_end(self, checkpoint: Path) -> bool:
        """Whether a checkpoint is the end of the run: then it is loaded, and nothing is trained."""
        state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
        if state.global_step < self.args.max_steps:
            return False
        self._load_from_checkpoint(str(checkpoint))
        self.state = state
        times = ("train_runtime", "train_samples_per_second", "train_steps_per_second")
        flos = {"total_flos": state.total_flos, "train_loss": 0.0}
        self.log({**dict.fromkeys(times, 0.0), **flos})
        return True


def mean_loss(history: Iterable[Mapping[str, Any]]) -> float:
    """The mean over all steps of the losses that were logged."""
    total, before = 0.0, 0
    for row in history:
        if "loss" in row:
            total += row["loss"] * (row["step"] - before)
            before = row["step"]
    return total / max(before, 1)


class LogBeforeSaving(TrainerCallback):
    """A checkpoint follows a logged loss, since it does not hold losses that are not logged yet."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """See :class:`transformers.TrainerCallback`."""
        if control.should_save:
            control.should_log = True


class StartEpoch(TrainerCallback):
    """Tells the batch sampler its epoch.

    The trainer does so too, but not through the wrappers that a resumed run on several devices has.
    """

    def __init__(self, trainer: EncoderTrainer) -> None:
        self._trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """See :class:`transformers.TrainerCallback`."""
        if self._trainer.pair_sampler is not None:
            self._trainer.pair_sampler.set_epoch(int((state.epoch or 0) + ROUNDING))


class MarkComplete(TrainerCallback):
    """Marks a checkpoint when all of it is written; one without the mark is never resumed.

    The mark holds checksums, but for files that other processes may still be writing.
    """

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """See :class:`transformers.TrainerCallback`."""
        if is_sharded(kwargs.get("model")):
            torch.distributed.barrier()  # each process writes its random state
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            files = [p for p in folder.rglob("*") if p.is_file() and not OF_RANK.match(p.name)]
            sums = {path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(files)}
            write_record(folder / COMPLETE, {"files": sums})


def last_checkpoint(folder: Path) -> Path | None:
    """The latest checkpoint that was written to its end and is not damaged."""
    found = {path.parent: path.parent.name.rpartition("-")[2] for path in folder.glob(COMPLETED)}
    numbered = [path for path, number in found.items() if number.isdecimal()]
    for path in sorted(numbered, key=lambda path: int(found[path]), reverse=True):
        fault = _fault(path)
        if not fault:
            return path
        logger.warning("%s is not used: %s; the run goes on from what is before it", path, fault)
    return None


def _fault(checkpoint: Path) -> str:
    """What is wrong with a checkpoint that is marked; nothing is known of those of version 0.1."""
    mark = checkpoint / COMPLETE
    try:
        sums = read_record(mark)["files"] if mark.stat().st_size else {}
        wrong = [name for name, known in sums.items() if sha256_of(checkpoint / name) != known]
    except (OSError, DataFormatError) as error:
        return one_line(error)
    return f"{wrong[0]} differs from its checksum" if wrong else ""


class TrainingBar(ProgressCallback):
    """One line: steps, rate, time left, and the last loss."""

    training_bar: Any

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """See :class:`transformers.TrainerCallback`."""
        self.current_step = state.global_step
        if state.is_world_process_zero:
            self.training_bar = progress(
                desc="training", total=state.max_steps, initial=self.current_step, unit="step"
            )

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """See :class:`transformers.TrainerCallback`."""
        shown = {"loss", "criterion", "discriminator_accuracy"} & set(logs or ())
        if self.training_bar is not None and shown:
            numbers = {name: f"{logs[name]:.3f}" for name in sorted(shown)}
            self.training_bar.set_postfix(numbers, refresh=False)
