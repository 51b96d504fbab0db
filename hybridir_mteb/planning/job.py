"""What a training run asks of its devices, read from a recipe or a plan."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hybridir_mteb.errors import SettingError
from hybridir_mteb.planning.networks import Network
from hybridir_mteb.plugins.specs import Backbone, TrainingMethod
from hybridir_mteb.training.pairs import common_negatives
from hybridir_mteb.training.plan import Plan, lora_of
from hybridir_mteb.training.recipe import Hub, Recipe

_FIRST = re.compile(r"\w+\[:(\d+)\]")  # of a split, such as train[:500000]


@dataclass(frozen=True)
class Job:
    """A training run as arithmetic sees it.

    Attributes:
        network: What is trained.
        batch: Pairs of one device and step of accumulation.
        tokens: Of each text.
        columns: Texts of a pair that backward goes through.
        candidates: Those of them that queries are compared with.
        taught: Further texts of a pair, which the frozen backbone embeds.
        accumulation: Batches of a step.
        mini_batch: Texts in memory at once (GradCache); None keeps the batch whole.
        checkpointing: Whether layers are computed again in the backward pass.
        rank: Of LoRA; None trains everything.
        dropout: Of LoRA's inputs.
        half: Whether arithmetic is in bf16.
        four_bit: Whether frozen matrices are held in 4 bits.
        gathers: Whether other devices' passages are candidates.
        steps: Of the optimiser.
    """

    network: Network
    batch: int
    tokens: int
    columns: int = 2
    candidates: int = 1
    taught: int = 0
    accumulation: int = 1
    mini_batch: int | None = None
    checkpointing: bool = False
    rank: int | None = None
    dropout: float = 0.0
    half: bool = True
    four_bit: bool = False
    gathers: bool = False
    steps: int = 1

    @property
    def texts(self) -> int:
        """Texts of a batch that backward goes through."""
        return self.batch * self.columns

    @property
    def at_once(self) -> int:
        """Texts whose activations are in memory at once."""
        return min(self.mini_batch or self.texts, self.texts)


@dataclass(frozen=True)
class Sizes:
    """What a recipe does not say by itself.

    Attributes:
        negatives: Hard negatives of each pair.
        tokens: Of a text; None takes the longest that the recipe allows.
        steps: Of the optimiser.
        half: Whether ``precision: auto`` is bf16.
    """

    negatives: int
    tokens: int | None
    steps: int
    half: bool


def job_of(
    recipe: Recipe, backbone: Backbone, method: TrainingMethod, network: Network, sizes: Sizes
) -> Job:
    """The job of a recipe; the network is the backbone's, or that of the weights it names."""
    lora = lora_of(recipe, backbone)
    return Job(
        network,
        recipe.batch_size,
        sizes.tokens or recipe.max_tokens or backbone.max_tokens,
        columns=2 + sizes.negatives + method.unlabelled + method.translated,
        candidates=1 + sizes.negatives,
        taught=2 if recipe.distillation else 0,
        accumulation=recipe.gradient_accumulation,
        mini_batch=recipe.mini_batch_size,
        checkpointing=recipe.gradient_checkpointing,
        rank=lora.rank if lora else None,
        dropout=lora.dropout if lora else 0.0,
        half={"bf16": True, "fp32": False}.get(recipe.precision, sizes.half),
        four_bit=recipe.quantization is not None,
        gathers=recipe.gather_across_devices,
        steps=sizes.steps,
    )


def job_of_plan(plan: Plan, network: Network, devices: int, *, half: bool) -> Job:
    """The job of a plan, whose data are known; ``half`` as of :class:`Sizes`."""
    negatives = max((common_negatives(source.items) for source in plan.train), default=0)
    sizes = Sizes(negatives, None, plan.steps(devices), half)
    return job_of(plan.recipe, plan.backbone, plan.method, network, sizes)


def negatives_of(recipe: Recipe) -> int:
    """Hard negatives that a recipe names itself: columns of data of the hub."""
    return max((len(data.negatives) for data in recipe.data if isinstance(data, Hub)), default=0)


def steps_of(recipe: Recipe, devices: int, items: int | None = None) -> int:
    """Optimiser steps of a recipe, whose data are not read.

    Args:
        recipe: The recipe.
        devices: How many train together.
        items: Pairs of the data; None reads them from splits such as ``train[:500000]``.

    Raises:
        SettingError: The recipe counts epochs of data whose size it does not say.
    """
    if recipe.steps is not None:
        return recipe.steps
    if items is None:
        splits = [_FIRST.fullmatch(d.split) if isinstance(d, Hub) else None for d in recipe.data]
        if not all(splits):
            raise SettingError(
                "the recipe counts epochs and does not say how many pairs its data have: give "
                "--items or --steps"
            )
        items = sum(int(split[1]) for split in splits if split)
    if recipe.held_out_every:
        items -= items // recipe.held_out_every
    batches = items // (recipe.batch_size * devices)
    return max(1, int(batches * recipe.epochs / recipe.gradient_accumulation))
