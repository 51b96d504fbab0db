"""Collections whose passages are streamed as MTEB retrieval tasks; nothing reads a passage here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from datasets import Dataset
from mteb.abstasks.task_metadata import TaskMetadata

from hybridir_mteb.adapters.mteb.ranked_task import Asked, Named, RankedTask, class_of, metadata_of
from hybridir_mteb.collections.collection import passage_id, query_id
from hybridir_mteb.collections.languages import language
from hybridir_mteb.errors import PluginError
from hybridir_mteb.measures.measure import Measure
from hybridir_mteb.plugins.settings import Setting, Subset, subsets
from hybridir_mteb.plugins.specs import StreamedPart, StreamedSpec, streamed_task_name

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb.corpus import Corpora
    from hybridir_mteb.ranking.trec import SubsetRun

DEFAULT_SUBSET = "default"
_SETTING_TEXT = {
    Setting.MONOLINGUAL: "Queries and candidate passages are in the same language.",
    Setting.MULTILINGUAL: (
        "One pool holds the candidate passages of all languages; language bias is measured beside "
        "effectiveness. Relevant passages are known in the query's language only."
    ),
}


class StreamedSplit(dict[str, Any]):
    """One subset as MTEB lays it out, its corpus built when somebody asks for it.

    Args:
        content: Queries and relevance.
        corpus: Builds the corpus.
    """

    def __init__(self, content: dict[str, Any], corpus: Callable[[], Dataset]) -> None:
        super().__init__(content)
        self._corpus = corpus

    def __missing__(self, key: str) -> Any:
        if key != "corpus":
            raise KeyError(key)
        self[key] = corpus = self._corpus()
        return corpus


def streamed_subsets(spec: StreamedSpec, setting: Setting) -> list[Subset]:
    """The subsets of one task: a collection that names its only task has one, ``default``."""
    if spec.task:
        (code,) = spec.languages
        return [Subset(DEFAULT_SUBSET, code, (code,))]
    return subsets(spec.languages, setting)


def _check(spec: StreamedSpec, setting: Setting, measures: Sequence[Measure]) -> None:
    if setting not in _SETTING_TEXT:
        raise PluginError(
            f"{spec.name} is not parallel, so it has no {setting} setting; choose from "
            f"{', '.join(_SETTING_TEXT)}"
        )
    if spec.task and (len(spec.languages) != 1 or spec.settings != (Setting.MONOLINGUAL,)):
        raise PluginError(
            f"{spec.task} is named as the only task of {spec.name}, which must then have one "
            "language and the monolingual setting; leave task empty"
        )
    known = [measure.name for measure in measures if setting in measure.settings]
    if spec.main_score not in known:
        raise PluginError(
            f"{spec.name}: main_score {spec.main_score!r} is no measure; choose from "
            f"{', '.join(known)}"
        )


def streamed_metadata(spec: StreamedSpec, setting: Setting) -> TaskMetadata:
    """The metadata of one task."""
    asked = [language(code).mteb_code for code in spec.query_languages]
    codes = {
        subset.name: list(
            dict.fromkeys([*asked, *(language(code).mteb_code for code in subset.languages)])
        )
        for subset in streamed_subsets(spec, setting)
    }
    named = Named(
        name=streamed_task_name(spec, setting),
        description=_SETTING_TEXT[setting],
        codes=codes[DEFAULT_SUBSET] if spec.task else codes,
        main_score=spec.main_score,
    )
    return metadata_of(spec, named)


class StreamedTask(RankedTask):
    """One setting of one streamed collection. Subclasses are made by :func:`make_streamed_tasks`.

    Query and passage ids are those of the files, so that runs can be scored with the collection's
    own judgements; in a pool of several languages they carry role and language, such as ``q:sw:7``.

    Args:
        shard_dtype: Number format of encoded passages; by default what the environment says.
        device: Where to search; by default a GPU if there is one.
        **kwargs: MTEB's own arguments.
    """

    spec: ClassVar[StreamedSpec]

    def __init__(
        self, shard_dtype: str | None = None, device: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.shard_dtype, self.device = shard_dtype, device
        self.parts: dict[str, StreamedPart] = {}
        self.corpora: Corpora | None = None

    def all_subsets(self) -> list[Subset]:
        """Every subset of the task."""
        return streamed_subsets(self.spec, self.setting)

    def subset(self, name: str) -> Subset:
        """The subset of a name."""
        return next(s for s in self.all_subsets() if s.name == name)

    def query_language(self, code: str) -> str:
        """The language of the queries that are searched in passages of one language."""
        asked = self.spec.query_languages
        return asked[0] if len(asked) == 1 else code

    def prefixes(self, code: str) -> tuple[str, str]:
        """What stands before the files' ids of queries and passages in one language."""
        pooled = self.setting is Setting.MULTILINGUAL
        return (query_id(code, ""), passage_id(code, "")) if pooled else ("", "")

    def read(self, wanted: Sequence[Subset]) -> dict[str, Any]:
        """Subset -> its queries and relevance; passages are read when they are encoded."""
        from hybridir_mteb.adapters.mteb.corpus import Corpora

        needed = sorted({code for subset in wanted for code in subset.languages})
        self.parts = {code: self.spec.load(code) for code in needed}
        self.corpora = Corpora(self.parts, {code: self.prefixes(code)[1] for code in needed})
        return {subset.name: self._split(subset, self.corpora) for subset in wanted}

    def unload_data(self) -> None:
        """Forget the data and what was computed from them."""
        super().unload_data()
        self.parts = {}
        self.corpora = None

    def _split(self, subset: Subset, corpora: Corpora) -> StreamedSplit:
        code = subset.query_language
        judged, texts = self.parts[code].judged(), self.parts[code].queries
        if not judged:
            raise self.nothing_to_score(subset)
        asked, spoken = self.prefixes(code)
        content = {
            "queries": Dataset.from_dict(
                {"id": [asked + query for query in judged], "text": [texts[q] for q in judged]}
            ),
            "relevant_docs": {
                asked + query: {spoken + passage: grade for passage, grade in grades.items()}
                for query, grades in judged.items()
            },
            "top_ranked": None,
        }
        return StreamedSplit(content, lambda: corpora.pool(subset.passage_languages))

    def rank(self, model: Any, data: Any, asked: Asked) -> SubsetRun:
        """Measures of one subset, and the best passages of each query, in bounded memory."""
        from hybridir_mteb.adapters.mteb.streamed_evaluation import StreamedEvaluation
        from hybridir_mteb.ranking.trec import SubsetRun

        evaluation = StreamedEvaluation(self, data, asked.split, asked.subset, asked.encode_kwargs)
        with asked.timer("Encoding", split=asked.split, subset=asked.subset):
            searching = evaluation.prepare(model, asked.num_proc)
        with asked.timer("Scoring", split=asked.split, subset=asked.subset):
            found = searching(asked.depth)
            scores = evaluation.scores(model, found)
        return SubsetRun(scores, found.run, data["relevant_docs"])


def make_streamed_tasks(
    spec: StreamedSpec, measures: Sequence[Measure]
) -> list[type[StreamedTask]]:
    """The task classes of a streamed collection, one for each setting.

    Raises:
        PluginError: A setting that needs a parallel collection, a name for several tasks, or a main
            score that no measure gives.
    """
    tasks = []
    for setting in spec.settings:
        _check(spec, setting, measures)
        metadata = streamed_metadata(spec, setting)
        attributes = {"setting": setting, "measures": tuple(measures)}
        tasks.append(class_of(StreamedTask, spec, metadata, **attributes))
    return tasks
