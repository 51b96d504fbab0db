"""What plugins register for training: methods and backbones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hybridir_mteb.plugins.settings import OptionValue

if TYPE_CHECKING:
    from hybridir_mteb.training.losses.terms import LossTerm
    from hybridir_mteb.training.pairs import Source, TextTransform


@dataclass(frozen=True)
class MethodContext:
    """What a training method may build its parts from.

    Attributes:
        options: Values of the method's options: the recipe's, else the defaults.
        languages: ISO 639-1 codes in the training data, sorted; positions are language numbers.
        dimension: Length of an embedding.
        seed: Random seed of the run.
        sources: Training data, without the part that is held out.
        temperature: Temperature of InfoNCE.
    """

    options: Mapping[str, OptionValue]
    languages: tuple[str, ...]
    dimension: int
    seed: int
    sources: Sequence[Source] = ()
    temperature: float = 0.03


@dataclass(frozen=True)
class TrainingMethod:
    """A way to train an encoder; encoders are named ``hybridir/<backbone>-<method>``.

    Attributes:
        name: Lower case, such as ``hybrid``.
        summary: One sentence: what a batch is, and the loss.
        source: The paper that describes it.
        batches: Kind of batch: ``mono``, ``xx``, ``cross``, ``bilingual``, ``mixed`` or ``hybrid``;
            empty for a method that trains nothing.
        options: Options with their default values; a recipe's ``method_options`` may change them.
            ``batches``, ``alpha``, ``mixes`` and ``batch_language`` are options of every method.
        unlabelled: Whether batches carry unlabelled text in random languages.
        terms: What is added to InfoNCE.
        transform: Changes query and passage texts.
        translated: Whether batches carry the query of each pair in another language, too.
    """

    name: str
    summary: str
    source: str
    batches: str = ""
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    unlabelled: bool = False
    terms: Callable[[MethodContext], Sequence[LossTerm]] | None = None
    transform: Callable[[MethodContext], TextTransform] | None = None
    translated: bool = False


@dataclass(frozen=True)
class Backbone:
    """A network that encoders are trained from.

    Attributes:
        name: First part of encoders' names, such as ``xlmr``.
        hub_id: ``owner/name`` on the hub; empty if its weights are always given.
        pooling: ``mean``, ``cls`` or ``lasttoken``; empty if the hub's model is a
            sentence-transformers model, which brings its own.
        prompts: Prefixes of ``query`` and ``document``.
        decoder: Left padding, an end-of-text token, causal attention as it is.
        lora: Whether LoRA is the default instead of full fine-tuning.
        max_tokens: Longest input in training.
        revision: Commit on the hub; None takes the one that MTEB pins for the model.
        loader: Loads the network instead of the hub: ``module:function``, called with ``device``.
        sha256: Of the weights that the loader loads.
        parameters: Number of parameters, for estimates.
        trained: How many of them full training changes; 0 for all.
        layers: Transformer layers, for estimates.
        hidden: Size of the hidden states, for estimates.
        source: What the loader's weights are, in words, for records and cards.
        terms: Terms of use that come with the weights, in words, for records and cards.
        license: Licence of the weights, as MTEB names licences.
    """

    name: str
    hub_id: str
    pooling: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict)
    decoder: bool = False
    lora: bool = False
    max_tokens: int = 256
    revision: str | None = None
    loader: str = ""
    parameters: int = 0
    layers: int = 0
    hidden: int = 0
    trained: int = 0
    sha256: str = ""
    source: str = ""
    terms: str = ""
    license: str = ""
