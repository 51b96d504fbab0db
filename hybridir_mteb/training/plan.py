"""From a recipe to a plan: method, backbone, data, steps, memory; nothing is trained yet."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hybridir_mteb import paths
from hybridir_mteb.encoders.backbones import place_of
from hybridir_mteb.encoders.contents import backbone_digest
from hybridir_mteb.errors import SettingError, TrainingError, quoted, suggest
from hybridir_mteb.files.numbers import number
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.settings import OptionValue
from hybridir_mteb.plugins.specs import Backbone, TrainingMethod
from hybridir_mteb.training.held_out import FEWEST as FEWEST_HELD_OUT
from hybridir_mteb.training.held_out import held_out_items, split_documents
from hybridir_mteb.training.leak import EvaluationTexts, Leak, check_leaks, evaluation_texts
from hybridir_mteb.training.pairs import Source
from hybridir_mteb.training.patterns import Mono, Pattern, pattern
from hybridir_mteb.training.recipe import Data, Hub, JsonLines, Lora, Questions, Recipe
from hybridir_mteb.training.runs import runs_dir
from hybridir_mteb.training.sources.documents import inverse_cloze
from hybridir_mteb.training.sources.hub import read_hub
from hybridir_mteb.training.sources.jsonl import read_jsonl
from hybridir_mteb.training.sources.ntrex import FILES, ORIGIN, load_ntrex
from hybridir_mteb.training.sources.questions import read_questions

logger = logging.getLogger(__name__)

COMMIT = re.compile("[0-9a-f]{40}")
BACKBONE = "backbone.json"  # in a run's folder
OF_EVERY_METHOD: dict[str, OptionValue] = {
    "batches": "",
    "alpha": 0.5,
    "mixes": ("mono", "cross"),
    "batch_language": "",
}
PACKAGED = "package:"


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before a run.

    Attributes:
        recipe: The recipe.
        backbone: Entry of the table.
        revision: Commit of the backbone's weights on the hub; None if it is not known.
        method: The method.
        options: Its options, the recipe's values put in.
        train: Training part of the sources.
        held_out: Held-out part.
        leaks: Items that occur in evaluation sets; empty unless the recipe allows them.
        checked: Evaluation sets that the data were compared with.
        unchecked: Evaluation sets that are not on this machine.
        digest: Of the files of a backbone in a local folder; None if it is not in one.
    """

    recipe: Recipe
    backbone: Backbone
    revision: str | None
    method: TrainingMethod
    options: dict[str, OptionValue]
    train: tuple[Source, ...]
    held_out: tuple[Source, ...]
    leaks: tuple[Leak, ...]
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]
    digest: str | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the training data, sorted; the batch labels are positions in it."""
        return tuple(sorted({c for s in self.train for i in s.items for c in i.examples}))

    @property
    def lora(self) -> Lora | None:
        """LoRA's settings, or None for full fine-tuning."""
        return lora_of(self.recipe, self.backbone)

    @property
    def max_tokens(self) -> int:
        """Longest input in training."""
        return self.recipe.max_tokens or self.backbone.max_tokens

    def steps(self, devices: int = 1) -> int:
        """Optimiser steps of the run."""
        recipe = self.recipe
        if recipe.steps is not None:
            return recipe.steps
        group = recipe.batch_size * devices
        batches = sum(len(source.items) // group for source in self.train)
        return max(1, int(batches * recipe.epochs / recipe.gradient_accumulation))

    def pattern(self) -> Pattern:
        """The kind of batch."""
        options = self.options
        name = str(options["batches"]) or self.method.batches
        language = str(options["batch_language"])
        if language:
            if name != "mono" or language not in self.languages:
                raise SettingError(
                    f"batch_language {quoted(language)} needs mono batches and training data in "
                    f"that language (the data have {', '.join(self.languages)})"
                )
            return Mono(self.languages.index(language))
        mixes = options["mixes"]
        if not isinstance(mixes, tuple) or len(mixes) != 2:
            raise SettingError(f"mixes names two kinds of batches, not {quoted(mixes)}")
        return pattern(name, alpha=float(options["alpha"]), mixes=mixes)  # type: ignore[arg-type]


def lora_of(recipe: Recipe, backbone: Backbone) -> Lora | None:
    """LoRA's settings, the backbone's default put in; None trains everything."""
    if recipe.lora == "none":
        return None
    return recipe.lora or (Lora() if backbone.lora else None)


def make_plan(
    recipe: Recipe,
    *,
    leak_check: bool = True,
    pinned: Callable[[str], str | None] = lambda hub_id: None,
) -> Plan:
    """Resolve names, read the data, hold documents out, look for leaks.

    Args:
        recipe: The recipe.
        leak_check: Compare the data with evaluation sets.
        pinned: Gives the commit of weights on the hub for which neither recipe nor table has one.

    Raises:
        UnknownNameError: No such backbone, method or language.
        SettingError: An option that the method does not have, or no weights to start from.
        LeakError: Training data occur in an evaluation set.
        DataFormatError: Malformed data, with file and line.
    """
    plugins = installed_plugins()
    method, backbone = plugins.methods[recipe.method], plugins.backbones[recipe.backbone]
    if not method.batches:
        raise TrainingError(f"{method.name} trains nothing; its encoder is the backbone itself")
    options, place = _options(method, recipe), place_of(backbone, recipe.weights)
    sources = [read_source(data, recipe.languages) for data in recipe.data]
    known = evaluation_texts() if leak_check else EvaluationTexts()
    leaks = check_leaks(sources, known, allow=recipe.allow_leaks)
    train, held_out = split_documents(sources, recipe.held_out_every)
    chooses = recipe.evaluate_every or len(recipe.interpolation) > 1
    if chooses and not held_out_items(held_out, recipe.held_out_items):
        raise SettingError(
            "evaluate_every and interpolation choose on held-out documents, and the data have "
            f"fewer than {FEWEST_HELD_OUT} held-out items: lower held_out_every (it is "
            f"{recipe.held_out_every}), or add documents"
        )
    return _checked(
        Plan(
            recipe,
            backbone,
            recipe.revision or backbone.revision or pinned(place),
            method,
            options,
            tuple(train),
            tuple(held_out),
            tuple(leaks),
            tuple(known.checked),
            tuple(known.not_at_hand),
            digest_of_weights(recipe.weights),
        )
    )


def _checked(plan: Plan) -> Plan:
    """The plan, if its options can be had, and its weights are of a commit, no branch or tag."""
    plan.pattern()  # refuses impossible options before anything is loaded
    if plan.recipe.quantization and plan.lora is None:
        raise SettingError(
            f"quantization: {plan.recipe.quantization} freezes the weights, and "
            f"{plan.backbone.name} is trained whole by default: add lora: {{rank: 16}}"
        )
    if plan.digest is None and not COMMIT.fullmatch(plan.revision or "0" * 40):
        place = place_of(plan.backbone, plan.recipe.weights)
        raise SettingError(
            f"revision {quoted(plan.revision)} of {place} may name other weights tomorrow: give "
            "the commit, 40 hexadecimal digits"
        )
    return plan


def _options(method: TrainingMethod, recipe: Recipe) -> dict[str, OptionValue]:
    known = {**OF_EVERY_METHOD, **method.options}
    unknown = sorted(set(recipe.method_options) - set(known))
    if unknown:
        raise SettingError(
            f"method {method.name} has no option {', '.join(unknown)} "
            f"(it has {', '.join(sorted(known))}){suggest(unknown[0], known)}"
        )
    for name, value in recipe.method_options.items():
        is_number = isinstance(known[name], int | float) and not isinstance(known[name], bool)
        if is_number and number(value) is None:
            raise SettingError(
                f"option {name} of {method.name} is a number, not {quoted(value, 80)}"
            )
    return {**known, **recipe.method_options}


def read_source(data: Data, languages: Sequence[str]) -> Source:
    """One entry of a recipe's data."""
    wanted = tuple(languages)
    if isinstance(data, JsonLines):
        own = data.path if data.path.startswith(PACKAGED) else ""
        return read_jsonl(packaged_path(data.path), wanted, origin=own)
    if isinstance(data, Hub):
        return read_hub(data, wanted)
    corpus = load_ntrex(wanted or tuple(FILES))
    if isinstance(data, Questions):
        return read_questions(packaged_path(data.path), corpus, origin=f"questions about {ORIGIN}")
    return inverse_cloze(corpus, data, origin=ORIGIN)


def packaged_path(path: str) -> Path:
    """A path of a recipe; ``package:`` stands for the package's own data."""
    if path.startswith(PACKAGED):
        return paths.DATA / path.removeprefix(PACKAGED)
    return paths.with_home(path)


def digest_of_weights(weights: str | None) -> str | None:
    """Digest of a local folder of weights; None for a name on the hub, or none at all."""
    folder = paths.with_home(weights) if weights else None
    return backbone_digest(folder) if folder and folder.is_dir() else None


def check_backbone(plan: Plan, folder: Path) -> None:
    """Refuse a local backbone that is not the one that the run began with, as its folder says.

    Raises:
        TrainingError: Its files were changed since.
    """
    kept = folder / BACKBONE
    if plan.digest is None:
        return
    weights = plan.recipe.weights
    remedy = f"put the former files back, or remove {folder} to train anew from those"
    began = read_record(kept)["digest"] if kept.is_file() else plan.digest
    if not plan.digest == began == digest_of_weights(weights):
        raise TrainingError(f"the backbone in {weights} changed since this run began: {remedy}")
    if not kept.is_file():
        if any(folder.glob("checkpoint-*")):
            logger.warning(
                "%s: begun by version 0.1, which did not note the files of %s", folder, weights
            )
        write_record(kept, {"weights": weights, "digest": plan.digest})


def content_hash(source: Source) -> str:
    """Hex digest of all texts of a source, in order."""
    digest = hashlib.sha256()
    for item in source.items:
        for code, example in sorted(item.examples.items()):
            fields = (item.id, code, example.query, example.passage, *example.negatives)
            digest.update("\x1f".join(fields).encode() + b"\x1e")
    return digest.hexdigest()


def run_folder(plan: Plan, devices: int = 1, *, sharded: bool = False) -> Path:
    """Where checkpoints of this very run are: the same recipe, data and devices resume."""
    recipe = plan.recipe
    weights = str(paths.with_home(recipe.weights).resolve()) if recipe.weights else ""
    parts = [recipe.model_dump_json(), weights, str(devices)]
    parts += [content_hash(source) for source in (*plan.train, *plan.held_out)]
    if plan.revision not in {recipe.revision, plan.backbone.revision}:
        parts.append(str(plan.revision))  # of MTEB, whose next release may name another
    if sharded:
        parts.append("sharded")  # its optimiser's state is of another form
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return runs_dir() / f"{recipe.backbone}-{recipe.method}-{digest}"
