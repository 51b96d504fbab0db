"""Recipes: everything that a training run depends on, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from hybridir_mteb import paths
from hybridir_mteb.errors import DataUnavailableError, SettingError, printable, quoted, suggest
from hybridir_mteb.files.numbers import written_number, written_whole
from hybridir_mteb.plugins.settings import OptionValue
from hybridir_mteb.training import plain_yaml as yaml

PACKAGED = paths.PACKAGE / "recipes"
FAULTS_SHOWN = 3


def _as_number(read: Callable[[str], float | None], what: str) -> BeforeValidator:
    """Text as a number, since YAML has no dot in ``1e-4`` where it wants one; True is none."""

    def convert(value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError(f"a number is needed, not {str(value).lower()}")
        found = read(value) if isinstance(value, str) else value
        if found is None and isinstance(value, str):
            raise ValueError(f"{quoted(value, 80)} is no {what}")
        return found

    return BeforeValidator(convert)


Whole = Annotated[int, _as_number(written_whole, "whole number")]
Number = Annotated[float, _as_number(written_number, "number"), Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Documents(_Strict):
    """Line-parallel documents, by the inverse cloze task.

    Attributes:
        window: Neighbours on each side that make up the passage.
        keep: Probability that the sentence itself stays in the passage.
        crop: Probability that the query is a part of the sentence, and the passage the sentence.
        min_words: Shorter sentences become no query; they may still be neighbours.
        seed: Seed of all choices.
    """

    kind: Literal["documents"] = "documents"
    corpus: Literal["ntrex-128"] = "ntrex-128"
    window: Whole = Field(default=1, ge=1)
    keep: Number = Field(default=0.1, ge=0, le=1)
    crop: Number = Field(default=0.0, ge=0, le=1)
    min_words: Whole = Field(default=5, ge=1)
    seed: Whole = 0


class Questions(_Strict):
    """Questions about lines of line-parallel documents."""

    kind: Literal["questions"] = "questions"
    corpus: Literal["ntrex-128"] = "ntrex-128"
    path: str


class JsonLines(_Strict):
    """Parallel JSON lines: a file, or a folder of them."""

    kind: Literal["jsonl"] = "jsonl"
    path: str


class Hub(_Strict):
    """A data set of the hub, or a local copy, one configuration a language.

    Attributes:
        name: ``owner/name`` on the hub, or a local folder.
        configurations: Language code -> configuration; of a local folder, file or folder in it.
        split: Split, or slice of it, such as ``train[:100000]``.
        revision: Commit on the hub.
        query: Column of the query's text.
        passage: Column of the relevant passage's text.
        negatives: Columns of one text or of a list of texts, hardest first.
        id: Column of what translations share; by default the number of the row.
    """

    kind: Literal["hub"] = "hub"
    name: str
    configurations: dict[str, str]
    split: str = "train"
    revision: str | None = None
    query: str = "query"
    passage: str = "positive"
    negatives: tuple[str, ...] = ()
    id: str | None = None


class Lora(_Strict):
    """LoRA on all linear layers."""

    rank: Whole = Field(default=16, ge=1)
    alpha: Number = Field(default=32.0, gt=0)
    dropout: Number = Field(default=0.0, ge=0, lt=1)


class Distill(_Strict):
    """Distillation to the frozen backbone's ranking and embeddings in the pivot language."""

    weight: Number = Field(default=1.0, ge=0)
    temperature: Number = Field(default=0.05, gt=0)
    alignment: Number = Field(default=0.0, ge=0)
    pivot: str = "en"


Data = Documents | Questions | JsonLines | Hub


class Recipe(_Strict):
    """A training run.

    Attributes:
        backbone: Name in the table of backbones.
        method: Name of a training method.
        weights: Local folder or hub id of the backbone's weights, instead of the table's.
        revision: Commit of weights on the hub.
        languages: ISO 639-1 codes; empty takes what the data have.
        data: Where pairs come from.
        held_out_every: Every n-th document of each source is held out for selection; 0 holds
            nothing out.
        held_out_items: Largest number of held-out questions that choose.
        held_out_pool: Passages of each language that they are searched in, at most: their answers,
            and others of the held-out documents, the same ones in all languages.
        steps: Optimiser steps; None trains for ``epochs``.
        batch_size: Pairs of one device and step of accumulation.
        mini_batch_size: Texts in memory at once (GradCache); None keeps the batch whole.
        temperature: Temperature of InfoNCE.
        sampling_temperature: 1 draws languages and sources in proportion to their size.
        dropout: Dropout of the backbone's own layers; None leaves it as published.
        lora: LoRA's settings; ``none`` trains all parameters; None takes the backbone's default.
        quantization: ``nf4`` holds the frozen linear layers under LoRA in 4 bits (QLoRA); None
            holds them as they are.
        precision: Arithmetic of the forward pass; ``auto`` is bf16 where the device has it.
        distillation: None leaves the term out.
        interpolation: Weights between backbone (0) and trained encoder (1); the best on held-out
            documents is kept.
        evaluate_every: Steps between evaluations on held-out documents; 0 evaluates at the end.
        patience: Stop after so many evaluations without a better one; 0 never.
        allow_leaks: Train on data that occur in evaluation sets; written into the metadata.
        trust_remote_code: Run code that comes with the weights.
        method_options: Options of the method.
    """

    backbone: str
    method: str
    weights: str | None = None
    revision: str | None = None
    languages: tuple[str, ...] = ()
    data: tuple[Data, ...] = Field(default=(Documents(),), min_length=1)
    held_out_every: Whole = Field(default=5, ge=0)
    held_out_items: Whole = Field(default=200, ge=2)
    held_out_pool: Whole = Field(default=500, ge=2)
    steps: Whole | None = Field(default=None, ge=1)
    epochs: Number = Field(default=1.0, gt=0)
    batch_size: Whole = Field(default=32, ge=2)
    gradient_accumulation: Whole = Field(default=1, ge=1)
    mini_batch_size: Whole | None = Field(default=None, ge=1)
    gather_across_devices: bool = True
    learning_rate: Number = Field(default=1e-4, gt=0)
    warmup: Number = Field(default=0.1, ge=0, lt=1)
    weight_decay: Number = Field(default=0.01, ge=0)
    max_gradient_norm: Number = Field(default=1.0, gt=0)
    temperature: Number = Field(default=0.03, gt=0)
    sampling_temperature: Number = Field(default=1.0, gt=0)
    max_tokens: Whole | None = Field(default=None, ge=8)
    dropout: Number | None = Field(default=None, ge=0, lt=1)
    lora: Lora | Literal["none"] | None = None
    # Not written where it is not used, so that records and folders of runs are those of before.
    quantization: Literal["nf4"] | None = Field(default=None, exclude_if=lambda kind: kind is None)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    gradient_checkpointing: bool = False
    distillation: Distill | None = None
    interpolation: tuple[Number, ...] = Field(default=(1.0,), min_length=1)
    evaluate_every: Whole = Field(default=0, ge=0)
    patience: Whole = Field(default=0, ge=0)
    save_every: Whole = Field(default=50, ge=1)
    seed: Whole = 0
    report_to: tuple[str, ...] = ()
    allow_leaks: bool = False
    trust_remote_code: bool = False
    method_options: dict[str, OptionValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if any(not 0 < weight <= 1 for weight in self.interpolation):
            raise ValueError("interpolation: weights lie above 0 and at most at 1")
        chooses = self.patience or self.evaluate_every or len(self.interpolation) > 1
        if chooses and not self.held_out_every:
            raise ValueError("choosing on held-out documents needs held_out_every above 0")
        if self.quantization and self.lora == "none":
            raise ValueError("quantization: weights in 4 bits are frozen, so it needs lora")
        if self.patience and not self.evaluate_every:
            raise ValueError("patience counts evaluations: set evaluate_every")
        return self

    @property
    def name(self) -> str:
        """Name of the encoder: ``hybridir/<backbone>-<method>``."""
        return f"hybridir/{self.backbone}-{self.method}"


def read_recipe(path: Path, **changes: Any) -> Recipe:
    """A recipe from a YAML or TOML file.

    A file may name another one beside it as ``extends``; its own fields replace those of the other.

    Args:
        path: ``.yaml``, ``.yml`` or ``.toml``; a bare name such as ``pocket-hybrid`` is a recipe of
            the package.
        **changes: Fields that replace those of the file; None leaves the file's. Options of the
            method are replaced one by one.

    Raises:
        DataUnavailableError: No such file.
        SettingError: Not YAML or TOML, or a field that is unknown or has an impossible value.
    """
    fields, given = _fields(_locate(path)), _given(changes)
    held = fields.get("method_options") or {}
    if "method_options" in given and isinstance(held, dict):
        options = {**held, **given["method_options"]}
        given = {**given, "method_options": options}
    return make_recipe({**fields, **given}, str(path))


def packaged_recipes() -> list[str]:
    """Names of the recipes that come with the package; some leave the method to ``--method``."""
    names = (path.stem for path in PACKAGED.glob("*.yaml"))
    return sorted(name for name in names if not name.startswith("accelerate"))


def _locate(path: Path) -> Path:
    path = paths.with_home(path)
    if path.is_file():
        return path
    packaged = PACKAGED / f"{path.name}.yaml"
    if path.name == str(path) and packaged.is_file():
        return packaged
    raise DataUnavailableError(
        f"{path}: no such recipe; those of the package are {', '.join(packaged_recipes())}"
        f"{suggest(path.name, packaged_recipes())}"
    )


def _fields(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The fields of a file, with those that it extends."""
    if path.resolve() in seen:
        raise SettingError(f"{path}: extends itself")
    fields = yaml.read_settings(path)
    if not isinstance(fields, dict):
        raise SettingError(f"{path}: a recipe is a table of fields such as 'backbone: pocket'")
    base = fields.pop("extends", None)
    if base is None:
        return fields
    parent = path.parent / paths.with_home(str(base))
    if not parent.is_file():
        raise DataUnavailableError(f"{path}: extends {parent}, which does not exist")
    return {**_fields(parent, (*seen, path.resolve())), **fields}


def make_recipe(fields: dict[str, Any], where: str = "recipe") -> Recipe:
    """A recipe from its fields.

    Raises:
        SettingError: A field that is unknown or has an impossible value; all of them at once.
    """
    try:
        return Recipe.model_validate(_given(fields))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        faults = [
            f"{printable('.'.join(map(str, fault['loc'])), 80) or 'recipe'}: "
            f"{printable(fault['msg'].removeprefix('Value error, '), 200)}{_alike(fault)}"
            for fault in found[:FAULTS_SHOWN]
        ]
        more = f"; and {len(found) - FAULTS_SHOWN} more" if len(found) > FAULTS_SHOWN else ""
        raise SettingError(f"{where}: {'; '.join(faults)}{more}") from error


def _alike(fault: Mapping[str, Any]) -> str:
    """Which field may be meant by one that there is not."""
    known = Recipe.model_fields
    name = str(fault["loc"][0]) if len(fault["loc"]) == 1 else ""
    return suggest(name, known) if fault["type"] == "extra_forbidden" else ""


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
