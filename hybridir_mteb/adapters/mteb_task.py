"""Collections as MTEB retrieval tasks: one task for each setting, one subset for each score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.timing import TimingStack

from hybridir_mteb.collection import ParallelCollection
from hybridir_mteb.errors import DataFormatError, UnknownNameError
from hybridir_mteb.languages import language
from hybridir_mteb.metrics.measure import Measure
from hybridir_mteb.settings import Context, Setting, Subset, judged_queries, passage_text, subsets
from hybridir_mteb.specs import CollectionSpec

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb_bias import PoolBiasMemory
    from hybridir_mteb.search import SubsetRun

MAIN_SCORE = "map"
STATISTICS_DIR = Path(__file__).parent.parent / "data" / "descriptive_stats"
_SETTING_TEXT = {
    Setting.MONOLINGUAL: "Queries and candidate passages are in the same language.",
    Setting.CROSS_LINGUAL: "Queries are in one language, all candidate passages in another.",
    Setting.MULTILINGUAL: (
        "One pool holds the candidate passages of all languages, and a query's relevant passages "
        "are those in every language; language bias is measured beside effectiveness."
    ),
}
_CONTEXT_TEXT = {
    Context.SENTENCE: "A candidate is one sentence.",
    Context.SENTENCE_AND_PARAGRAPH: "A candidate is one sentence followed by its paragraph.",
}


class CollectionTaskMetadata(TaskMetadata):
    """MTEB's metadata, with descriptive statistics that ship in this package."""

    @property
    def descriptive_stat_path(self) -> Path:
        """Where the descriptive statistics are."""
        return STATISTICS_DIR / f"{self.name}.json"


def task_name(collection: str, setting: Setting, context: Context) -> str:
    """Name of a task; the context is part of it, since MTEB keys results by task name."""
    infix = "" if context is Context.SENTENCE else "InContext"
    return f"{collection}{setting.in_task_name}{infix}Retrieval"


def task_metadata(spec: CollectionSpec, setting: Setting, context: Context) -> TaskMetadata:
    """The metadata of one task."""
    card = spec.card
    codes = {code: language(code).mteb_code for code in spec.languages}
    description = f"{card.description} {_SETTING_TEXT[setting]} {_CONTEXT_TEXT[context]}"
    return CollectionTaskMetadata(
        name=task_name(spec.name, setting, context),
        description=description,
        reference=card.reference,
        dataset={"path": card.dataset, "revision": card.revision},
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=[spec.split],
        eval_langs={
            subset.name: [codes[code] for code in subset.languages]
            for subset in subsets(spec.languages, setting)
        },
        main_score=MAIN_SCORE,
        date=card.date,
        domains=list(cast("Any", card.domains)),
        task_subtypes=["Question answering"],
        license=cast("Any", card.license),
        annotations_creators=cast("Any", card.annotations_creators),
        dialect=[],
        sample_creation=cast("Any", card.sample_creation),
        bibtex_citation=card.citation,
        adapted_from=list(card.adapted_from) or None,
    )


class CollectionTask(AbsTaskRetrieval):
    """One setting of one collection. Subclasses are made by :func:`make_task`.

    Args:
        context: ``"sentence"`` or ``"sentence+paragraph"``; the task's name tells which.
        **kwargs: MTEB's own arguments.
    """

    spec: ClassVar[CollectionSpec]
    setting: ClassVar[Setting]
    default_context: ClassVar[Context] = Context.SENTENCE
    measures: ClassVar[Sequence[Measure]] = ()
    k_values: Sequence[int] = (1, 5, 10, 20, 100)

    def __init__(self, context: str | None = None, **kwargs: Any) -> None:
        self.context = self._context(context)
        if self.context is not self.default_context:
            self.metadata = task_metadata(self.spec, self.setting, self.context)
        super().__init__(**kwargs)
        self.collection: ParallelCollection | None = None
        self.bias_memory: PoolBiasMemory | None = None

    def _context(self, context: str | None) -> Context:
        """The context asked for.

        Raises:
            ValueError: There is no such context, or the collection does not offer it.
        """
        offered = contexts_of(self.spec)
        if context is None:
            return self.default_context
        if context not in offered:
            raise ValueError(
                f"context {context!r}: {self.spec.name} offers {', '.join(map(repr, offered))}"
            )
        return Context(context)

    def load_data(
        self, num_proc: int | None = None, *, timer: TimingStack | None = None, **kwargs: Any
    ) -> None:
        """Fill ``dataset`` with the subsets asked for, reading only their languages.

        Raises:
            UnknownNameError: A split was asked for that the collection does not have.
            DataFormatError: A subset in which no query has a relevant passage.
        """
        if self.data_loaded:
            return
        unknown = set(self.eval_splits) - set(self.metadata.eval_splits)
        if unknown:
            raise UnknownNameError(
                f"{self.metadata.name} has no split {', '.join(sorted(unknown))}, only "
                f"{', '.join(self.metadata.eval_splits)}"
            )
        wanted = [
            s for s in subsets(self.spec.languages, self.setting) if s.name in self.hf_subsets
        ]
        needed = sorted({code for subset in wanted for code in subset.languages})
        self.collection = collection = self.spec.load(needed)
        pools: dict[tuple[str, ...], Dataset] = {}
        self.dataset = {
            subset.name: {
                split: cast("Any", self._split(collection, subset, pools))
                for split in self.eval_splits
            }
            for subset in wanted
        }
        self.data_loaded = True

    def unload_data(self) -> None:
        """Forget the data and what was computed from them."""
        super().unload_data()
        self.collection = self.bias_memory = None
        if self.context is not self.default_context:  # MTEB drops an instance's metadata
            self.metadata = task_metadata(self.spec, self.setting, self.context)

    def _split(
        self,
        collection: ParallelCollection,
        subset: Subset,
        pools: dict[tuple[str, ...], Dataset],
    ) -> dict[str, Any]:
        """One subset as MTEB lays it out; pools are shared between subsets."""
        if subset.passage_languages not in pools:
            parts = [collection.part(code) for code in subset.passage_languages]
            members = [(part, at) for part in parts for at in range(len(part.passages))]
            pools[subset.passage_languages] = Dataset.from_dict(
                {
                    "id": [part.passage_id(at) for part, at in members],
                    "text": [passage_text(part, at, self.context) for part, at in members],
                }
            )
        queries = collection.part(subset.query_language)
        judged = list(judged_queries(collection, subset))
        if not judged:
            raise DataFormatError(
                f"{self.metadata.name}, subset {subset.name}: no query has a relevant passage in "
                "the pool, so there is nothing to score; leave the subset out with hf_subsets=[…]"
            )
        return {
            "queries": Dataset.from_dict(
                {
                    "id": [queries.query_id(at) for at, _ in judged],
                    "text": [queries.queries[at].text for at, _ in judged],
                }
            ),
            "corpus": pools[subset.passage_languages],
            "relevant_docs": {
                queries.query_id(at): dict.fromkeys(relevant, 1) for at, relevant in judged
            },
            "top_ranked": None,
        }

    def _evaluate_subset(
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
        """Scores of one subset, from exact ranks over its whole pool."""
        from hybridir_mteb.adapters.mteb_evaluation import SubsetEvaluation

        evaluation = SubsetEvaluation(self, data_split, hf_split, hf_subset)
        with timer("Encoding", split=hf_split, subset=hf_subset):
            scorer = evaluation.scorer(model, encode_kwargs, num_proc)
        with timer("Scoring", split=hf_split, subset=hf_subset):
            known = evaluation.pool_bias(model, encode_kwargs)
            scores = evaluation.scores(scorer, known)
        if prediction_folder is not None:
            self._save_task_predictions(
                evaluation.predictions(scorer),
                model,
                prediction_folder,
                hf_split=hf_split,
                hf_subset=hf_subset,
            )
        return scores

    def search_subset(self, model: Any, subset: str, depth: int, encode_kwargs: Any) -> SubsetRun:
        """Scores and the first ``depth`` passages of each query, of one subset that is loaded."""
        from hybridir_mteb.adapters.mteb_evaluation import SubsetEvaluation
        from hybridir_mteb.search import SubsetRun

        split = self.eval_splits[0]
        data: Any = self.dataset[subset][split]
        evaluation = SubsetEvaluation(self, data, split, subset)
        scorer = evaluation.scorer(model, encode_kwargs, None)
        scores = evaluation.scores(scorer, evaluation.pool_bias(model, encode_kwargs))
        run = evaluation.predictions(scorer, depth)
        return SubsetRun(scores, run, data["relevant_docs"])


def make_task(
    spec: CollectionSpec,
    setting: Setting,
    context: Context,
    measures: Sequence[Measure],
) -> type[CollectionTask]:
    """A task class for one setting and context of a collection."""
    metadata = task_metadata(spec, setting, context)
    return type(
        metadata.name,
        (CollectionTask,),
        {
            "__doc__": metadata.description,
            "__module__": __name__,
            "metadata": metadata,
            "spec": spec,
            "setting": setting,
            "default_context": context,
            "measures": tuple(measures),
        },
    )


def contexts_of(spec: CollectionSpec) -> list[str]:
    """The values that the option ``context`` takes for a collection."""
    return [str(c) for c in Context] if spec.has_paragraphs else [str(Context.SENTENCE)]


def make_tasks(spec: CollectionSpec, measures: Sequence[Measure]) -> list[type[CollectionTask]]:
    """All tasks of a collection: each setting, with sentences alone and in context."""
    return [
        make_task(spec, setting, Context(context), measures)
        for context in contexts_of(spec)
        for setting in spec.settings
    ]
