"""Parallel collections as MTEB retrieval tasks: one task a setting, one subset a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from datasets import Dataset
from mteb.abstasks.task_metadata import TaskMetadata

from hybridir_mteb.adapters.mteb.ranked_task import Asked, Named, RankedTask, class_of, metadata_of
from hybridir_mteb.collections.collection import (
    ParallelCollection,
    judged_queries,
    passage_text,
)
from hybridir_mteb.collections.languages import language
from hybridir_mteb.measures.measure import Measure
from hybridir_mteb.plugins.settings import Context, Setting, Subset, subsets, task_name
from hybridir_mteb.plugins.specs import CollectionSpec

if TYPE_CHECKING:
    from hybridir_mteb.ranking.trec import SubsetRun

MAIN_SCORE = "map"
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


def task_metadata(spec: CollectionSpec, setting: Setting, context: Context) -> TaskMetadata:
    """The metadata of one task."""
    codes = {code: language(code).mteb_code for code in spec.languages}
    named = Named(
        name=task_name(spec.name, setting, context),
        description=f"{_SETTING_TEXT[setting]} {_CONTEXT_TEXT[context]}",
        codes={
            subset.name: [codes[code] for code in subset.languages]
            for subset in subsets(spec.languages, setting)
        },
        main_score=MAIN_SCORE,
        subtypes=["Question answering"],
    )
    return metadata_of(spec, named)


class CollectionTask(RankedTask):
    """One setting of one collection. Subclasses are made by :func:`make_task`.

    Args:
        context: ``"sentence"`` or ``"sentence+paragraph"``; the task's name tells which.
        **kwargs: MTEB's own arguments.
    """

    spec: ClassVar[CollectionSpec]
    default_context: ClassVar[Context] = Context.SENTENCE

    def __init__(self, context: str | None = None, **kwargs: Any) -> None:
        self.context = self._context(context)
        if self.context is not self.default_context:
            self.metadata = task_metadata(self.spec, self.setting, self.context)
        super().__init__(**kwargs)
        self.collection: ParallelCollection | None = None

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

    def all_subsets(self) -> list[Subset]:
        """Every subset of the task."""
        return subsets(self.spec.languages, self.setting)

    def read(self, wanted: Sequence[Subset]) -> dict[str, Any]:
        """Subset -> its queries, corpus and relevance; pools are shared between subsets."""
        needed = sorted({code for subset in wanted for code in subset.languages})
        self.collection = collection = self.spec.load(needed)
        pools: dict[tuple[str, ...], Dataset] = {}
        return {subset.name: self._split(collection, subset, pools) for subset in wanted}

    def unload_data(self) -> None:
        """Forget the data and what was computed from them."""
        super().unload_data()
        self.collection = None
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
            raise self.nothing_to_score(subset)
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

    def rank(self, model: Any, data: Any, asked: Asked) -> SubsetRun:
        """Measures of one subset, and the best passages of each query."""
        from hybridir_mteb.adapters.mteb.evaluation import SubsetEvaluation
        from hybridir_mteb.ranking.trec import SubsetRun

        evaluation = SubsetEvaluation(self, data, asked.split, asked.subset)
        with asked.timer("Encoding", split=asked.split, subset=asked.subset):
            scorer = evaluation.scorer(model, asked.encode_kwargs, asked.num_proc)
        with asked.timer("Scoring", split=asked.split, subset=asked.subset):
            known = evaluation.pool_bias(model, asked.encode_kwargs)
            scores = evaluation.scores(scorer, known)
        run = evaluation.predictions(scorer, asked.depth) if asked.depth else {}
        return SubsetRun(scores, run, data["relevant_docs"])


def make_task(
    spec: CollectionSpec,
    setting: Setting,
    context: Context,
    measures: Sequence[Measure],
) -> type[CollectionTask]:
    """A task class for one setting and context of a collection."""
    return class_of(
        CollectionTask,
        spec,
        task_metadata(spec, setting, context),
        setting=setting,
        default_context=context,
        measures=tuple(measures),
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
