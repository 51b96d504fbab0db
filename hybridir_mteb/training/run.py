"""One training run, from plan to stored encoder. The same code for one CPU and many GPUs."""

from __future__ import annotations

import shutil
import time
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments
from torch import Tensor
from transformers.trainer_utils import SaveStrategy

from hybridir_mteb.encoders.fingerprint import module_fingerprint
from hybridir_mteb.encoders.four_bit import FourBit
from hybridir_mteb.encoders.load import load_backbone
from hybridir_mteb.encoders.network import add_lora, efficient, freeze_in_bf16, set_dropout
from hybridir_mteb.encoders.pocket.model import network_of
from hybridir_mteb.encoders.processor import AUTO, best_for, by_instructions
from hybridir_mteb.encoders.sentence import cut
from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.encoders.trained import StoredEncoder, keep
from hybridir_mteb.errors import (
    MissingExtraError,
    SettingError,
    from_extra,
    missing,
)
from hybridir_mteb.files.room import check_room, room_for
from hybridir_mteb.plugins.specs import MethodContext
from hybridir_mteb.training.backbone_scores import backbone_scores, scores_key
from hybridir_mteb.training.held_out import HeldOut
from hybridir_mteb.training.losses.contrastive import (
    BatchLayout,
    CachedContrastiveLoss,
    ContrastiveLoss,
)
from hybridir_mteb.training.losses.distillation import Distillation
from hybridir_mteb.training.losses.terms import LossTerm
from hybridir_mteb.training.pairs import NEGATIVE, Columns, PairDataset
from hybridir_mteb.training.plan import Plan, check_backbone, run_folder
from hybridir_mteb.training.record import Outcome, write_encoder
from hybridir_mteb.training.runs import same_precision, same_threads, working_in
from hybridir_mteb.training.samplers import batch_sampler
from hybridir_mteb.training.selection import SelectBest, evaluate, interpolate
from hybridir_mteb.training.sharding import (
    PATIENCE,
    compute_in_bf16,
    is_asked,
    is_sharded,
    shard,
    sharding_asked,
    without_weights,
)
from hybridir_mteb.training.teacher import Teacher
from hybridir_mteb.training.trainer import EncoderTrainer, last_checkpoint
from hybridir_mteb.training.weights import trained_state

with from_extra("train", "training"):
    from accelerate import PartialState
    from accelerate.utils import FullyShardedDataParallelPlugin as Sharding
    from accelerate.utils import parse_flag_from_env, set_seed

BOARDS = ("tensorboard", "tensorboardX")  # either will do


def training_precision(wanted: str, model: SentenceTransformer | None = None) -> Precision:
    """``auto`` resolved: what is faster here, or without a model what has instructions."""
    if wanted != AUTO:
        return Precision(wanted)
    return by_instructions() if model is None else best_for(model, AUTO).precision


def train(plan: Plan) -> StoredEncoder | None:
    """Train, choose on held-out documents, and put the encoder into the store.

    A run that was killed goes on from its last complete checkpoint when the same recipe is trained
    again; the result is the same as that of an unbroken run.

    Returns:
        The stored encoder; None on all processes but the first.

    Raises:
        MissingExtraError: TensorBoard's logs are asked for, and nothing here writes them.
        BusyError: Another process trains the same.
        TrainingError: The run's folder holds another run, or is none.
        NoSpaceError: The disk is full, or too small for the checkpoints.
    """
    if "tensorboard" in plan.recipe.report_to and not any(map(find_spec, BOARDS)):
        raise MissingExtraError(missing("report_to: tensorboard", "tensorboardX", "tensorboard"))
    state = _processes()
    sharding = sharding_asked(state)
    folder = run_folder(plan, state.num_processes, sharded=sharding is not None)
    with working_in(folder) if state.is_main_process else nullcontext(), room_for(folder):
        return _train(plan, state, folder, sharding)


def _processes() -> PartialState:
    """The processes of this run; on the CPU they know of each other only if told to use it."""
    on_cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    return PartialState(cpu=on_cpu, **({"timeout": PATIENCE} if is_asked() else {}))


def _train(
    plan: Plan, state: PartialState, folder: Path, sharding: Sharding | None
) -> StoredEncoder | None:
    set_seed(plan.recipe.seed)
    same_threads(folder)
    check_backbone(plan, folder)
    model, precision, fingerprint = _prepare(plan, state, folder, sharding)
    check_room(folder, _checkpoint_bytes(model), "checkpoints of the run")
    longest = model.max_seq_length
    cut(model, min(plan.max_tokens, longest or plan.max_tokens))
    outcome = _fit_and_choose(plan, model, folder, precision, fingerprint)
    model.max_seq_length = longest  # short inputs are a matter of training alone
    parts = trained_state(model) if sharding else None  # while all processes are here
    if not state.is_main_process:
        return None
    if parts is not None:
        model = _gathered(plan, state, folder, parts)
    with keep(plan.recipe.name) as place:
        write_encoder(place.folder, model, plan, outcome)
    shutil.rmtree(folder)
    return place.kept


def _checkpoint_bytes(model: SentenceTransformer) -> int:
    """What checkpoints take: at times three with the optimiser's two moments, and the best one."""
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return (3 * 3 + 1) * trained


def _fit_and_choose(
    plan: Plan,
    model: SentenceTransformer,
    folder: Path,
    precision: Precision,
    fingerprint: str | None = None,
) -> Outcome:
    """Train the model, and leave it with the parameters that held-out documents like best."""
    started, recipe = time.monotonic(), plan.recipe
    chosen_in = _selection_precision(plan, model, precision)
    scores, base, selection = None, None, None
    held_out = HeldOut(plan.held_out, recipe.held_out_items, recipe.held_out_pool)
    if held_out.languages:
        scores = partial(evaluate, model, held_out, chosen_in)
        key = None
        if fingerprint is not None:
            key = scores_key(plan, held_out, model, fingerprint, (precision, chosen_in))
        base = backbone_scores(folder, key, scores)
    start = trained_state(model)
    trainer = _trainer(plan, model, folder, precision)
    # Logs outlive the run's folder, which goes once the encoder is stored.
    trainer.log_to(folder.parent.parent / ".logs" / folder.name)
    if recipe.evaluate_every and scores:
        every, patience = recipe.evaluate_every, recipe.patience
        selection = SelectBest(model, scores, every, patience, folder, trainer.log)
    if is_sharded(model) and precision is Precision.BF16:
        compute_in_bf16(model)
    own_products = recipe.gradient_checkpointing or is_sharded(model)
    with efficient(model, precision, own_products=own_products):
        _fit(trainer, last_checkpoint(folder), selection)
    weight, found = interpolate(model, start, recipe.interpolation, scores)
    return Outcome(
        base,
        found.get(str(weight)) or (scores() if scores else None),
        weight,
        found,
        trainer.state.log_history,
        time.monotonic() - started,
        PartialState().num_processes,
        precision.value,
        chosen_in.value if scores else None,
    )


def _selection_precision(
    plan: Plan, model: SentenceTransformer, trained_in: Precision
) -> Precision:
    """Arithmetic of the evaluation on held-out documents."""
    # A decoder's embedding in bf16 depends on which texts share its batch, so it is evaluated in
    # float32, unless its weights are held in less: that is decided when they are loaded.
    held = [p.dtype for p in model.parameters() if p.is_floating_point()]  # not in 4 bits
    whole = all(dtype == torch.float32 for dtype in held)
    return Precision.FP32 if plan.backbone.decoder and whole else trained_in


def _fit(trainer: EncoderTrainer, checkpoint: Path | None, selection: SelectBest | None) -> None:
    """Train to the end, then go back to the best parameters."""
    if selection is not None:
        trainer.add_callback(selection)
    if not (checkpoint and trainer.take_end(checkpoint)):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if selection is not None:
        PartialState().wait_for_everyone()
        selection.restore()


class Ready(NamedTuple):
    """A network to train.

    Attributes:
        model: The encoder, with adapters if it is to have them.
        precision: What to train it in.
        fingerprint: Of the backbone, before that; None of a sharded one, which is never whole here.
    """

    model: SentenceTransformer
    precision: Precision
    fingerprint: str | None


def _prepare(
    plan: Plan, state: PartialState, folder: Path, sharding: Sharding | None = None
) -> Ready:
    """The network to train, and in what; a sharded one is read by the first process alone."""
    if sharding is None:
        with state.main_process_first():  # it unpacks what is packed
            return _network(plan, state, folder, str(state.device))
    if plan.recipe.distillation is not None and plan.lora is None:
        raise SettingError(
            "distillation copies a model that is trained whole, and a sharded one "
            "cannot be copied: set lora, or use DDP"
        )
    reading = nullcontext() if state.is_main_process else without_weights()
    with state.main_process_first(), reading:
        device = "cpu" if state.is_main_process else "meta"
        ready = _network(plan, state, folder, device)
    shard(ready.model, sharding, state)
    return ready


def _gathered(
    plan: Plan, state: PartialState, folder: Path, parts: dict[str, Tensor]
) -> SentenceTransformer:
    """The network with the parameters that were trained; nothing of it else is read."""
    with without_weights():
        model = _network(plan, state, folder, "meta").model
    model.load_state_dict(parts, strict=False, assign=True)
    return model


def _precision(
    plan: Plan, state: PartialState, folder: Path, model: SentenceTransformer
) -> Precision:
    """In what to train; several processes, which could find different things, do not measure."""
    wanted = plan.recipe.precision
    if wanted != AUTO or state.num_processes > 1:
        return training_precision(wanted)
    return Precision(same_precision(folder, lambda: training_precision(wanted, model).value))


def _network(plan: Plan, state: PartialState, folder: Path, device: str) -> Ready:
    recipe, lora = plan.recipe, plan.lora
    half = plan.backbone.decoder and state.device.type == "cuda"
    dtype = torch.bfloat16 if half else torch.float32
    model = load_backbone(
        plan.backbone,
        weights=recipe.weights,
        revision=plan.revision,
        device=device,
        dtype=_packed(dtype) if recipe.quantization else dtype,
        trust_remote_code=recipe.trust_remote_code,
    )
    precision = _precision(plan, state, folder, model)
    known = plan.held_out and not is_asked()
    fingerprint = module_fingerprint(model) if known else None
    if recipe.dropout is not None:
        set_dropout(model, recipe.dropout)
    if lora is not None:
        add_lora(model, rank=lora.rank, alpha=lora.alpha, dropout=lora.dropout)
        # A decoder is evaluated in float32 between the steps.
        if precision is Precision.BF16 and not plan.backbone.decoder:
            freeze_in_bf16(model)
    network = network_of(model)
    if recipe.gradient_checkpointing and hasattr(network, "enable_input_require_grads"):
        network.enable_input_require_grads()  # else nothing flows to the adapters
    return Ready(model, precision, fingerprint)


def _packed(compute: torch.dtype) -> FourBit:
    """Frozen weights in 4 bits, unless they are to be sharded."""
    if is_asked():
        raise SettingError(
            "quantization: nf4 is not sharded: each device holds all weights in 4 bits, 37 GB of a "
            "70B decoder; start it with torchrun or accelerate's MULTI_GPU instead of FSDP"
        )
    return FourBit(compute)


def _trainer(
    plan: Plan, model: SentenceTransformer, folder: Path, precision: Precision
) -> EncoderTrainer:
    recipe, method, taught = plan.recipe, plan.method, plan.recipe.distillation
    dimension = model.get_embedding_dimension() or 0
    context = MethodContext(
        plan.options, plan.languages, dimension, recipe.seed, plan.train, recipe.temperature
    )
    transform = method.transform(context) if method.transform else None
    pivot = taught.pivot if taught else None
    columns = Columns(method.unlabelled, pivot, transform, method.translated)
    dataset = PairDataset.build(plan.train, columns)
    terms: list[LossTerm] = list(method.terms(context)) if method.terms else []
    if taught:
        terms.append(Distillation(taught.weight, taught.temperature, taught.alignment))
    small = recipe.mini_batch_size
    loss = (ContrastiveLoss if small is None else CachedContrastiveLoss)(
        model,
        temperature=recipe.temperature,
        layout=BatchLayout(method.unlabelled, taught is not None, method.translated),
        terms=terms,
        teacher=Teacher(model) if taught else None,
        gather_across_devices=recipe.gather_across_devices,
        **({} if small is None else {"mini_batch_size": small}),
    )
    return EncoderTrainer(
        model=model,
        args=_arguments(plan, model, folder, precision, max(dataset.negatives_of_source)),
        train_dataset=dataset,
        loss=loss,
    )


def _arguments(
    plan: Plan, model: SentenceTransformer, folder: Path, precision: Precision, negatives: int
) -> SentenceTransformerTrainingArguments:
    recipe = plan.recipe
    steps = plan.steps(PartialState().num_processes)
    return SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation,
        learning_rate=recipe.learning_rate,
        warmup_steps=round(recipe.warmup * steps),
        lr_scheduler_type="linear",
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_gradient_norm,
        seed=recipe.seed,
        bf16=precision is Precision.BF16,
        use_cpu=model.device.type == "cpu",
        gradient_checkpointing=recipe.gradient_checkpointing,
        logging_steps=max(1, min(10, steps // 10)),
        logging_first_step=True,
        save_strategy=SaveStrategy.STEPS,
        save_steps=recipe.save_every,
        save_total_limit=2,
        report_to=list(recipe.report_to) or "none",
        prompts=_prompts(model, negatives),
        batch_sampler=batch_sampler(plan.pattern(), temperature=recipe.sampling_temperature),
        dataloader_pin_memory=False,
    )


def _prompts(model: SentenceTransformer, negatives: int) -> dict[str, str]:
    """The prefix of each column."""
    hard = [f"{NEGATIVE}{at}" for at in range(1, negatives + 1)]
    columns = {
        "query": ("query", "other_query", "pivot_query"),
        "document": ("passage", "text", "pivot_passage", *hard),
    }
    given = {role: model.prompts.get(role) or "" for role in columns}
    return {name: given[role] for role in columns if given[role] for name in columns[role]}
