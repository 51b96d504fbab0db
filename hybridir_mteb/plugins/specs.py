"""What plugins register: collections, measures, families, training methods and so on.

Models are registered as ``mteb.models.ModelMeta``.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridir_mteb.errors import SettingError, UnknownNameError, quoted, suggest
from hybridir_mteb.plugins.debias_specs import ROLES, DebiasData, Debiaser, Tensors
from hybridir_mteb.plugins.settings import (
    DEFAULT_SUBSET,
    Context,
    OptionValue,
    Setting,
    Subset,
    subsets,
    task_name,
)
from hybridir_mteb.plugins.training_specs import Backbone, MethodContext, TrainingMethod

if TYPE_CHECKING:
    from hybridir_mteb.collections.collection import CollectionPart, ParallelCollection
    from hybridir_mteb.collections.download import DataFile, HubFolder
    from hybridir_mteb.collections.hub import HubDataset
    from hybridir_mteb.measures.measure import RankTable
    from hybridir_mteb.ranking.arrays import Values

__all__ = [  # what plugins need, also what other modules hold
    "ROLES",
    "Backbone",
    "CollectionCard",
    "CollectionSpec",
    "DebiasData",
    "Debiaser",
    "Family",
    "Measure",
    "MethodContext",
    "OptionValue",
    "StreamedSpec",
    "Tensors",
    "TrainingMethod",
]


@dataclass(frozen=True)
class CollectionCard:
    """What MTEB wants to know of a data set; the values are those that ``TaskMetadata`` accepts.

    Attributes:
        description: One or two sentences.
        reference: URL of the paper or the data.
        dataset: Where the data come from, such as ``owner/repository``.
        revision: Pinned revision of the data.
        license: Lower-case licence identifier.
        date: First and last day of the text, ISO format.
        domains: MTEB's domains.
        citation: BibTeX, or an empty string.
        annotations_creators: MTEB's annotator type.
        sample_creation: MTEB's sample creation method.
        adapted_from: MTEB tasks on the same data; models trained on those are not zero-shot here.
    """

    description: str
    reference: str
    dataset: str
    revision: str
    license: str
    date: tuple[str, str]
    domains: tuple[str, ...]
    citation: str = ""
    annotations_creators: str = "human-annotated"
    sample_creation: str = "found"
    adapted_from: tuple[str, ...] = ()


@dataclass(frozen=True)
class CollectionSpec:
    """A retrieval collection and how to get it; becomes one MTEB task for each setting.

    A parallel collection is loaded whole; of any other the passages are streamed, and there may be
    more than fit into memory.

    Attributes:
        name: PascalCase; the tasks are ``<name>MonolingualRetrieval`` and so on.
        languages: ISO 639-1 codes.
        load: Of a parallel collection: given language codes, returns a ``ParallelCollection``, or a
            ``Collection`` of listed passages, with at least these. Else: given one code, returns
            a ``CollectionPart``, no passage read.
        card: Description, licence, citation.
        files: Upstream files, for ``hybridir data``; empty if the data ship with a package.
        split: Name of the evaluation split.
        settings: Settings that make sense for the collection. Monolingual: one subset a language;
            multilingual: one pool of all languages, and a subset for the queries of each. By
            default all three of a parallel collection, monolingual of any other.
        has_paragraphs: Whether ``context="sentence+paragraph"`` is offered; parallel ones only.
        parallel: Whether a query exists in several languages under one id, with relevant passages
            in each.
        task: Name of the only task, of a collection in one language: it has one subset,
            ``default``. Empty: names are made from ``name`` and setting.
        query_languages: Codes of the queries where they differ from the passages', for MTEB's
            metadata.
        main_score: The measure that MTEB shows; by default ``map``, and ``ndcg_at_10`` of a
            collection that is not parallel.
        corpora: Language code -> where its passages are, for ``hybridir data``; empty if they are
            not on the hub.
        statistics: Folder with MTEB's descriptive statistics, a ``<task>.json`` for each task;
            ``hybridir submit task`` makes them. None: those of this package, if it has any.
    """

    name: str
    languages: tuple[str, ...]
    load: Callable[..., Any]
    card: CollectionCard
    files: tuple[DataFile | HubDataset, ...] = ()
    split: str = "test"
    settings: tuple[Setting, ...] = ()
    has_paragraphs: bool = True
    parallel: bool = True
    task: str = ""
    query_languages: tuple[str, ...] = ()
    main_score: str = ""
    corpora: Mapping[str, HubFolder] = field(default_factory=dict, repr=False)
    statistics: Path | None = None

    def __post_init__(self) -> None:
        usual = tuple(Setting) if self.parallel else (Setting.MONOLINGUAL,)
        object.__setattr__(self, "settings", self.settings or usual)
        score = self.main_score or ("map" if self.parallel else "ndcg_at_10")
        object.__setattr__(self, "main_score", score)

    @property
    def contexts(self) -> tuple[Context, ...]:
        """The values that the option ``context`` takes."""
        return tuple(Context) if self.parallel and self.has_paragraphs else (Context.SENTENCE,)

    def read(
        self, languages: Sequence[str], context: Context = Context.SENTENCE
    ) -> dict[str, CollectionPart]:
        """Some languages, by code, with passages of such a context.

        Raises:
            DataUnavailableError: A file is missing.
            DataFormatError: A file is malformed.
        """
        if not self.parallel:
            return {code: self.load(code) for code in languages}
        collection: ParallelCollection = self.load(languages)
        return {code: collection.part(code).read_as(context) for code in languages}

    def subsets(self, setting: Setting) -> list[Subset]:
        """The subsets of the task of one setting."""
        if self.task:
            (code,) = self.languages
            return [Subset(DEFAULT_SUBSET, code, (code,))]
        return subsets(self.languages, setting)

    def task_name(self, setting: Setting, context: Context = Context.SENTENCE) -> str:
        """Name of the task of one setting."""
        return self.task or task_name(self.name, setting, context)


_AFTER_CARD = ("files", "split", "settings", "task", "query_languages", "main_score", "corpora")


class _Streamed(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, CollectionSpec) and not instance.parallel


class StreamedSpec(metaclass=_Streamed):
    """Deprecated: ``CollectionSpec`` with ``parallel=False``; goes with version 0.3."""

    def __new__(  # type: ignore[misc]
        cls, name: str, languages: tuple[str, ...], load: Any, card: Any, *more: Any, **options: Any
    ) -> CollectionSpec:
        """Such a collection; ``more`` are its other values in the order of version 0.1."""
        now = "StreamedSpec(…) is CollectionSpec(…, parallel=False) now"
        warnings.warn(now, DeprecationWarning, stacklevel=2)
        options |= {"parallel": False}
        given = zip(_AFTER_CARD[: len(more)], more, strict=True)
        return CollectionSpec(name, languages, load, card, **dict(given), **options)


def pool_of(spec: CollectionSpec, languages: Sequence[str]) -> CollectionSpec:
    """The multilingual setting over some languages of a collection, as a collection of its own.

    Named after its languages, such as ``MIRACLSwYo``: MTEB keeps results by task name.

    Raises:
        UnknownNameError: The collection does not have a language, or fewer than two are given.
    """
    chosen = tuple(sorted(set(languages)))
    unknown = [code for code in chosen if code not in spec.languages]
    if unknown or len(chosen) < 2:
        raise UnknownNameError(
            f"a pool of {spec.name} needs at least two of {', '.join(spec.languages)}; got "
            f"{', '.join(languages) or 'none'}"
            f"{suggest(unknown[0], spec.languages) if unknown else ''}"
        )
    name = spec.name + "".join(code.capitalize() for code in chosen)
    return replace(spec, name=name, languages=chosen, settings=(Setting.MULTILINGUAL,), task="")


# Keys that result files use for other things.
RESERVED = frozenset(
    {
        *("main_score", "hf_subset", "languages", "mteb_version", "n_queries", "n_passages"),
        *("confidence_intervals", "passage_languages", "n_missing_passages", "not_applicable"),
        *("shard_dtype", "main_measure", "approximate", "approximate_recall_at_100"),
    }
)
_MEASURE_NAME = re.compile(r"[a-z][a-z0-9_]*")
PerQuery = Callable[["RankTable"], "Values"]


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        name: Key in result files, lower case.
        compute: Ranks -> (n_queries,) float64; NaN where the measure is undefined for a query.
        description: One sentence: range, direction, source.
        settings: Settings in which it is reported.
        by_query: Whether queries of a language can have different values; one number for all of
            them has no interval over queries.
        lower_is_better: Whether the lesser of two values is the better one.

    Raises:
        ValueError: The name is not lower case, or is a key that result files use otherwise.
    """

    name: str
    compute: PerQuery
    description: str
    settings: frozenset[Setting] = field(default=frozenset(Setting))
    by_query: bool = True
    lower_is_better: bool = False

    def __post_init__(self) -> None:
        if self.name in RESERVED or not _MEASURE_NAME.fullmatch(self.name):
            raise ValueError(
                f"measure name {quoted(self.name)}: use lower-case letters, digits and "
                f"underscores, and none of {', '.join(sorted(RESERVED))}"
            )


@dataclass(frozen=True)
class Family:
    """Models of one maker and recipe that differ in size: ``hybridir scaling`` fits laws to them.

    Attributes:
        name: In tables and pictures.
        models: Names of models, in which ``*`` and ``?`` stand for others.
        note: What else differs between them; may be empty.

    Raises:
        SettingError: The models are no names.
    """

    name: str
    models: tuple[str, ...]
    note: str = ""

    def __post_init__(self) -> None:
        named = isinstance(self.models, tuple | list) and self.models
        if not named or not all(isinstance(one, str) for one in self.models):
            raise SettingError(f'family {quoted(self.name)}: models must be names, ("me/demo-*",)')

    def holds(self, model: str) -> bool:
        """Whether a model is one of them."""
        return any(fnmatchcase(model, pattern) for pattern in self.models)
