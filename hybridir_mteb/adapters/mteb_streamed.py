"""Collections whose passages are streamed as MTEB retrieval tasks; nothing reads a passage here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.timing import TimingStack

from hybridir_mteb.adapters.mteb_task import CollectionTaskMetadata, task_name
from hybridir_mteb.collection import passage_id, query_id
from hybridir_mteb.errors import DataFormatError, PluginError, UnknownNameError
from hybridir_mteb.languages import language
from hybridir_mteb.metrics.measure import Measure
from hybridir_mteb.settings import Context, Setting, Subset, subsets
from hybridir_mteb.streamed import StreamedPart, StreamedSpec

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb_streamed_corpus import Corpora
    from hybridir_mteb.adapters.mteb_streamed_probe import ProbeMemory
    from hybridir_mteb.search import SubsetRun

PREDICTION_DEPTH = 100
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


def streamed_task_name(spec: StreamedSpec, setting: Setting) -> str:
    """Name of the task of one setting."""
    return spec.task or task_name(spec.name, setting, Context.SENTENCE)


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
    card = spec.card
    asked = [language(code).mteb_code for code in spec.query_languages]
    codes = {
        subset.name: list(
            dict.fromkeys([*asked, *(language(code).mteb_code for code in subset.languages)])
        )
        for subset in streamed_subsets(spec, setting)
    }
    return CollectionTaskMetadata(
        name=streamed_task_name(spec, setting),
        description=f"{card.description} {_SETTING_TEXT[setting]}",
        reference=card.reference,
        dataset={"path": card.dataset, "revision": card.revision},
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=[spec.split],
        eval_langs=codes[DEFAULT_SUBSET] if spec.task else codes,
        main_score=spec.main_score,
        date=card.date,
        domains=list(cast("Any", card.domains)),
        task_subtypes=[],
        license=cast("Any", card.license),
        annotations_creators=cast("Any", card.annotations_creators),
        dialect=[],
        sample_creation=cast("Any", card.sample_creation),
        bibtex_citation=card.citation,
        adapted_from=list(card.adapted_from) or None,
    )


class StreamedTask(AbsTaskRetrieval):
    """One setting of one streamed collection. Subclasses are made by :func:`make_streamed_tasks`.

    Query and passage ids are those of the files, so that runs can be scored with the collection's
    own judgements; in a pool of several languages they carry role and language, such as ``q:sw:7``.

    Args:
        shard_dtype: Number format of encoded passages; by default what the environment says.
        device: Where to search; by default a GPU if there is one.
        **kwargs: MTEB's own arguments.
    """

    spec: ClassVar[StreamedSpec]
    setting: ClassVar[Setting]
    measures: ClassVar[Sequence[Measure]] = ()
    k_values: Sequence[int] = (1, 5, 10, 20, 100)

    def __init__(
        self, shard_dtype: str | None = None, device: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.shard_dtype, self.device = shard_dtype, device
        self.parts: dict[str, StreamedPart] = {}
        self.corpora: Corpora | None = None
        self.probes: ProbeMemory | None = None

    def subset(self, name: str) -> Subset:
        """The subset of a name."""
        return next(s for s in streamed_subsets(self.spec, self.setting) if s.name == name)

    def query_language(self, code: str) -> str:
        """The language of the queries that are searched in passages of one language."""
        asked = self.spec.query_languages
        return asked[0] if len(asked) == 1 else code

    def prefixes(self, code: str) -> tuple[str, str]:
        """What stands before the files' ids of queries and passages in one language."""
        pooled = self.setting is Setting.MULTILINGUAL
        return (query_id(code, ""), passage_id(code, "")) if pooled else ("", "")

    def load_data(
        self, num_proc: int | None = None, *, timer: TimingStack | None = None, **kwargs: Any
    ) -> None:
        """Fill ``dataset`` with the subsets asked for; passages are read when they are encoded.

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
        from hybridir_mteb.adapters.mteb_streamed_corpus import Corpora

        names = [s.name for s in streamed_subsets(self.spec, self.setting)]
        wanted = [self.subset(name) for name in names if name in self.hf_subsets]
        needed = sorted({code for subset in wanted for code in subset.languages})
        self.parts = {code: self.spec.load(code) for code in needed}
        self.corpora = Corpora(self.parts, {code: self.prefixes(code)[1] for code in needed})
        self.dataset = {
            subset.name: {
                split: cast("Any", self._split(subset, self.corpora)) for split in self.eval_splits
            }
            for subset in wanted
        }
        self.data_loaded = True

    def unload_data(self) -> None:
        """Forget the data and what was computed from them."""
        super().unload_data()
        self.parts = {}
        self.corpora = self.probes = None

    def _split(self, subset: Subset, corpora: Corpora) -> StreamedSplit:
        code = subset.query_language
        judged, texts = self.parts[code].judged(), self.parts[code].queries
        if not judged:
            raise DataFormatError(
                f"{self.metadata.name}, subset {subset.name}: no query has a relevant passage, so "
                "there is nothing to score; leave the subset out with hf_subsets=[…]"
            )
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
        """Scores of one subset, from exact ranks over its whole pool, in bounded memory."""
        from hybridir_mteb.adapters.mteb_streamed_evaluation import StreamedEvaluation

        evaluation = StreamedEvaluation(self, data_split, hf_split, hf_subset, encode_kwargs)
        with timer("Encoding", split=hf_split, subset=hf_subset):
            searching = evaluation.prepare(model, num_proc)
        with timer("Scoring", split=hf_split, subset=hf_subset):
            found = searching(PREDICTION_DEPTH)
            scores = evaluation.scores(model, found)
        if prediction_folder is not None:
            self._save_task_predictions(
                found.run,
                model,
                prediction_folder,
                hf_split=hf_split,
                hf_subset=hf_subset,
            )
        return scores

    def search_subset(self, model: Any, subset: str, depth: int, encode_kwargs: Any) -> SubsetRun:
        """Scores and the first ``depth`` passages of each query, of one subset that is loaded."""
        from hybridir_mteb.adapters.mteb_streamed_evaluation import StreamedEvaluation
        from hybridir_mteb.search import SubsetRun

        split = self.eval_splits[0]
        data: Any = self.dataset[subset][split]
        evaluation = StreamedEvaluation(self, data, split, subset, encode_kwargs)
        found = evaluation.prepare(model, None)(depth)
        return SubsetRun(evaluation.scores(model, found), found.run, data["relevant_docs"])


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
        content = {
            "__doc__": metadata.description,
            "__module__": __name__,
            "metadata": metadata,
            "spec": spec,
            "setting": setting,
            "measures": tuple(measures),
        }
        tasks.append(type(metadata.name, (StreamedTask,), content))
    return tasks
