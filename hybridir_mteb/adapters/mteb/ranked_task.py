"""What our tasks share, parallel or streamed: metadata, loading, and how a subset is evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.timing import TimingStack

from hybridir_mteb import paths
from hybridir_mteb.encoders.memory import PerModel
from hybridir_mteb.errors import DataFormatError, UnknownNameError, suggest
from hybridir_mteb.measures.measure import Measure
from hybridir_mteb.plugins.settings import Setting, Subset
from hybridir_mteb.plugins.specs import CollectionSpec, StreamedSpec

if TYPE_CHECKING:
    from hybridir_mteb.ranking.trec import SubsetRun

STATISTICS_DIR = paths.DATA / "descriptive_stats"
PREDICTION_DEPTH = 100

TaskClass = TypeVar("TaskClass", bound="RankedTask")


class CollectionTaskMetadata(TaskMetadata):
    """MTEB's metadata, with descriptive statistics that ship in this package."""

    @property
    def descriptive_stat_path(self) -> Path:
        """Where the descriptive statistics are."""
        return STATISTICS_DIR / f"{self.name}.json"


@dataclass(frozen=True)
class Named:
    """What sets a task of a collection apart from the others.

    Attributes:
        name: Of the task.
        description: Setting and context, in sentences; the collection's own stand before.
        codes: Subset -> MTEB's language codes; a list of them if there is only one subset.
        main_score: The measure that MTEB shows.
        subtypes: MTEB's.
    """

    name: str
    description: str
    codes: Mapping[str, list[str]] | list[str]
    main_score: str
    subtypes: Sequence[str] = ()


def metadata_of(spec: CollectionSpec | StreamedSpec, named: Named) -> TaskMetadata:
    """The metadata of one task of a collection."""
    card = spec.card
    return CollectionTaskMetadata(
        name=named.name,
        description=f"{card.description} {named.description}",
        reference=card.reference,
        dataset={"path": card.dataset, "revision": card.revision},
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=[spec.split],
        eval_langs=cast("Any", named.codes),
        main_score=named.main_score,
        date=card.date,
        domains=list(cast("Any", card.domains)),
        task_subtypes=list(cast("Any", named.subtypes)),
        license=cast("Any", card.license),
        annotations_creators=cast("Any", card.annotations_creators),
        dialect=[],
        sample_creation=cast("Any", card.sample_creation),
        bibtex_citation=card.citation,
        adapted_from=list(card.adapted_from) or None,
    )


@dataclass(frozen=True)
class Asked:
    """One evaluation of a subset.

    Attributes:
        split: Name of the split.
        subset: Name of the subset.
        encode_kwargs: MTEB's.
        depth: How many passages of each query to name; 0 for none.
        num_proc: MTEB's.
        timer: MTEB's.
    """

    split: str
    subset: str
    encode_kwargs: Any
    depth: int
    num_proc: int | None
    timer: TimingStack


class RankedTask(AbsTaskRetrieval):
    """One setting of one collection, scored from exact ranks over its whole pool.

    Args:
        **kwargs: MTEB's own arguments.
    """

    spec: ClassVar[Any]
    setting: ClassVar[Setting]
    measures: ClassVar[Sequence[Measure]] = ()
    k_values: Sequence[int] = (1, 5, 10, 20, 100)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.memory: PerModel[Any] = PerModel()  # what concerns all subsets

    def all_subsets(self) -> list[Subset]:
        """Every subset of the task, whether asked for or not."""
        raise NotImplementedError

    def read(self, wanted: Sequence[Subset]) -> dict[str, Any]:
        """Subset -> its queries, corpus and relevance, as MTEB lays them out."""
        raise NotImplementedError

    def rank(self, model: Any, data: Any, asked: Asked) -> SubsetRun:
        """Measures of one subset, and the best passages of each query."""
        raise NotImplementedError

    def load_data(
        self, num_proc: int | None = None, *, timer: TimingStack | None = None, **kwargs: Any
    ) -> None:
        """Fill ``dataset`` with the subsets asked for, reading only their languages.

        Raises:
            UnknownNameError: A split was asked for that the collection does not have.
            DataFormatError: A subset in which no query has a relevant passage.
            DataUnavailableError: A file is missing.
        """
        if self.data_loaded:
            return
        unknown = set(self.eval_splits) - set(self.metadata.eval_splits)
        if unknown:
            raise UnknownNameError(
                f"{self.metadata.name} has no split {', '.join(sorted(unknown))}, only "
                f"{', '.join(self.metadata.eval_splits)}"
            )
        found = self.read([s for s in self.all_subsets() if s.name in self.hf_subsets])
        self.dataset = {name: dict.fromkeys(self.eval_splits, data) for name, data in found.items()}
        self.data_loaded = True

    def unload_data(self) -> None:
        """Forget the data and what was computed from them."""
        super().unload_data()
        self.memory = PerModel()

    def nothing_to_score(self, subset: Subset) -> DataFormatError:
        """The error of a subset in which no query has a relevant passage."""
        return DataFormatError(
            f"{self.metadata.name}, subset {subset.name}: no query has a relevant passage in the "
            "pool, so there is nothing to score; leave the subset out with hf_subsets=[…]"
        )

    def _evaluate_subset(  # noqa: PLR0913 -- mteb's signature
        self,
        model: Any,
        data_split: Any,
        *,
        encode_kwargs: Any,
        hf_split: str,
        hf_subset: str,
        prediction_folder: Path | None = None,
        num_proc: int | None = None,
        timer: TimingStack,
        **kwargs: Any,
    ) -> Any:
        """Scores of one subset."""
        depth = 0 if prediction_folder is None else PREDICTION_DEPTH
        asked = Asked(hf_split, hf_subset, encode_kwargs, depth, num_proc, timer)
        found = self.rank(model, data_split, asked)
        if prediction_folder is not None:
            self._save_task_predictions(
                cast("Any", found.run),
                model,
                prediction_folder,
                hf_split=hf_split,
                hf_subset=hf_subset,
            )
        return found.scores

    def search_subset(self, model: Any, subset: str, depth: int, encode_kwargs: Any) -> SubsetRun:
        """Scores and the first ``depth`` passages of each query, of one subset that is loaded."""
        split = self.eval_splits[0]
        asked = Asked(split, subset, encode_kwargs, depth, None, TimingStack())
        return self.rank(model, self.dataset[subset][split], asked)


def check_subsets(metadata: TaskMetadata, chosen: Iterable[str]) -> None:
    """Refuse names of subsets that a task does not have.

    Raises:
        UnknownNameError: It has no such subset; the message lists those that it has.
    """
    have = list(metadata.hf_subsets)
    for name in chosen:
        if name not in have:
            raise UnknownNameError(
                f"{metadata.name} has no subset {name!r}, only {', '.join(have)}"
                f"{suggest(name, have)}"
            )


def class_of(
    base: type[TaskClass],
    spec: CollectionSpec | StreamedSpec,
    metadata: TaskMetadata,
    **attributes: Any,
) -> type[TaskClass]:
    """A task class of a collection.

    Args:
        base: Of the class.
        spec: The collection.
        metadata: Of the task.
        **attributes: Of the class.
    """
    content = {
        "__doc__": metadata.description,
        "__module__": base.__module__,
        "metadata": metadata,
        "spec": spec,
    }
    return type(metadata.name, (base,), content | attributes)
