"""Collections as MTEB retrieval tasks: one task a setting, one subset a score."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.timing import TimingStack

from hybridir_mteb.adapters.mteb.around import write_whole
from hybridir_mteb.adapters.mteb.corpus import Corpora
from hybridir_mteb.adapters.mteb.ids import check_passage_ids
from hybridir_mteb.adapters.mteb.metadata import STREAMED_TEXT, task_metadata
from hybridir_mteb.adapters.mteb.turns import Turns, follow_results
from hybridir_mteb.collections.collection import Collection, ListedPassages, passage_id, query_id
from hybridir_mteb.encoders.memory import PerModel
from hybridir_mteb.errors import (
    DataFormatError,
    PluginError,
    UnknownNameError,
    one_line,
    printable,
    quoted,
    suggest,
)
from hybridir_mteb.files.room import check_folder, room_for
from hybridir_mteb.plugins.settings import Context, Setting, Subset
from hybridir_mteb.plugins.specs import CollectionSpec, Measure

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb.evaluation import Asked, SubsetRun

logger = logging.getLogger(__name__)

PREDICTION_DEPTH = 100


class LazySplit(dict[str, Any]):
    """One subset as MTEB lays it out, whose corpus of millions is built when somebody asks for it.

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


class CollectionTask(AbsTaskRetrieval):
    """One setting of one collection, scored from exact ranks over its whole pool.

    Ids of queries and passages carry role and language, such as ``q:sw:7``, but in the monolingual
    tasks of collections that are not parallel: there they are those of the files, so that runs can
    be scored with the collection's own judgements. Subclasses are made by :func:`make_tasks`.

    Args:
        context: ``"sentence"`` or ``"sentence+paragraph"``; the task's name tells which.
        shard_dtype: Number format of encoded passages, of a collection that is not parallel; by
            default what the environment says.
        device: Where to search such a collection; by default a GPU if there is one.
        **kwargs: Arguments of MTEB's retrieval tasks.
    """

    spec: ClassVar[CollectionSpec]
    setting: ClassVar[Setting]
    measures: ClassVar[Sequence[Measure]] = ()
    default_context: ClassVar[Context] = Context.SENTENCE
    k_values: Sequence[int] = (1, 5, 10, 20, 100)
    search: Any = None  # finds passages in shards on a cluster; None: in this process

    def __init__(
        self,
        context: str | None = None,
        shard_dtype: str | None = None,
        device: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.context = self._context(context)
        if self.context is not self.default_context:
            self.metadata = task_metadata(self.spec, self.setting, self.context)
        super().__init__(**kwargs)
        follow_results()
        write_whole()
        self.shard_dtype, self.device = shard_dtype, device
        self._forget()

    def _forget(self) -> None:
        self.collection = Collection({}, self.spec.parallel)
        self.corpora = Corpora({}, {})
        self.memory: PerModel[Any] = PerModel()  # what concerns all subsets
        self.turns = Turns()

    def _context(self, context: str | None) -> Context:
        """The context asked for, if the collection offers it."""
        offered = self.spec.contexts
        if context is None:
            return self.default_context
        if context not in offered:
            names = ", ".join(repr(str(one)) for one in offered)
            raise ValueError(f"context {quoted(context)}: {self.spec.name} offers {names}")
        return Context(context)

    def subset(self, name: str) -> Subset:
        """The subset of a name."""
        return next(s for s in self.spec.subsets(self.setting) if s.name == name)

    def query_language(self, code: str) -> str:
        """The language of the queries that are searched in passages of one language."""
        asked = self.spec.query_languages
        return asked[0] if len(asked) == 1 else code

    def prefixes(self, code: str) -> tuple[str, str]:
        """What stands before the files' ids of queries and passages in one language."""
        named = self.spec.parallel or self.setting is Setting.MULTILINGUAL
        return (query_id(code, ""), passage_id(code, "")) if named else ("", "")

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
        have = list(self.metadata.eval_splits)
        for split in sorted(set(self.eval_splits) - set(have)):
            raise UnknownNameError(
                f"{self.metadata.name} has no split {printable(split)}, only {', '.join(have)}"
                f"{suggest(split, have)}"
            )
        check_subsets(self.metadata, self.hf_subsets)
        wanted = [s for s in self.spec.subsets(self.setting) if s.name in self.hf_subsets]
        needed = sorted({code for subset in wanted for code in subset.languages})
        parts = self.spec.read(needed, self.context)
        for part in parts.values():
            if isinstance(part.passages, ListedPassages):
                check_passage_ids(part.passages)
        self.collection = Collection(parts, self.spec.parallel)
        self.corpora = Corpora(parts, {code: self.prefixes(code)[1] for code in needed})
        asked: dict[tuple[str, ...], Dataset] = {}
        found: dict[str, Any] = {subset.name: self._split(subset, asked) for subset in wanted}
        self.dataset = {name: dict.fromkeys(self.eval_splits, data) for name, data in found.items()}
        self.data_loaded = True

    def unload_data(self) -> None:
        """Forget the data and what was computed from them."""
        super().unload_data()
        self._forget()
        if self.context is not self.default_context:  # MTEB drops an instance's metadata
            self.metadata = task_metadata(self.spec, self.setting, self.context)

    def _split(self, subset: Subset, tables: dict[tuple[str, ...], Dataset]) -> dict[str, Any]:
        """One subset as MTEB lays it out; pools and queries are shared between subsets."""
        judged = self.collection.judged(subset)
        if not judged:
            raise DataFormatError(
                f"{self.metadata.name}, subset {subset.name}: no query has a relevant passage in "
                "the pool, so there is nothing to score; leave the subset out with hf_subsets=[…]"
            )
        asked, _ = self.prefixes(subset.query_language)
        spoken = {code: self.prefixes(code)[1] for code in subset.passage_languages}
        texts = self.collection.parts[subset.query_language].queries
        queries = subset.query_language, *judged
        if queries not in tables:
            tables[queries] = Dataset.from_dict(
                {"id": [asked + query for query in judged], "text": [texts[q] for q in judged]}
            )
        content = {
            "queries": tables[queries],
            "relevant_docs": {
                asked + query: {spoken[one.language] + one.passage: one.grade for one in grades}
                for query, grades in judged.items()
            },
            "top_ranked": None,
        }
        if not self.spec.parallel:
            return LazySplit(content, lambda: self.corpora.pool(subset.passage_languages))
        corpus = self.corpora.pool(subset.passage_languages)
        return {"queries": content.pop("queries"), "corpus": corpus, **content}

    def rank(self, model: Any, data: Any, asked: Asked) -> SubsetRun:
        """Measures of one subset, and the best passages of each query."""
        from hybridir_mteb.adapters.mteb.evaluation import evaluate_subset

        return evaluate_subset(self, model, data, asked)

    def check_if_dataset_is_superseded(self) -> None:
        """MTEB's, which it calls before it asks for the subsets of a run."""
        super().check_if_dataset_is_superseded()
        self.turns.start(self.hf_subsets)

    def evaluate(
        self, model: Any, split: str = "test", subsets_to_run: Any = None, **kwargs: Any
    ) -> Any:
        """MTEB's, of one subset in each call; while one timer runs the model stays as it is."""
        from hybridir_mteb.adapters.mteb.encoder import unchanged

        if subsets_to_run is None or len(subsets_to_run) > 1:  # else a run has called
            chosen = self.hf_subsets if subsets_to_run is None else subsets_to_run
            self.turns.start([name for name in self.hf_subsets if name in chosen])
        with unchanged(kwargs.get("timer")):
            return super().evaluate(model, split, subsets_to_run, **kwargs)

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
        from hybridir_mteb.adapters.mteb.evaluation import Asked

        depth = 0
        if prediction_folder is not None:
            depth = PREDICTION_DEPTH
            check_folder(Path(prediction_folder), "--prediction-folder")
        asked = Asked(hf_split, hf_subset, encode_kwargs, depth, num_proc, timer)
        found = self.rank(model, data_split, asked)
        if prediction_folder is not None:
            try:
                with room_for(Path(prediction_folder)):
                    place = {"hf_split": hf_split, "hf_subset": hf_subset}
                    run = cast("Any", found.run)
                    self._save_task_predictions(run, model, prediction_folder, **place)
            except (OSError, ValueError) as error:  # the measures are there and stay
                what = f"{self.metadata.name} {hf_subset}"
                logger.error("%s: the predictions are not written: %s", what, one_line(error))
        return found.scores

    def search_subset(self, model: Any, subset: str, depth: int, encode_kwargs: Any) -> SubsetRun:
        """Scores and the first ``depth`` passages of each query, of one subset that is loaded."""
        from hybridir_mteb.adapters.mteb.encoder import unchanged
        from hybridir_mteb.adapters.mteb.evaluation import Asked

        split = self.eval_splits[0]
        asked = Asked(split, subset, encode_kwargs, depth, None, TimingStack())
        with unchanged():
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
                f"{metadata.name} has no subset {quoted(name)}, only {', '.join(have)}"
                f"{suggest(name, have)}"
            )


def make_task(
    spec: CollectionSpec, setting: Setting, context: Context, measures: Sequence[Measure]
) -> type[CollectionTask]:
    """A task class for one setting and context of a collection."""
    metadata = task_metadata(spec, setting, context)
    content = {
        "__doc__": metadata.description,
        "__module__": CollectionTask.__module__,
        "metadata": metadata,
        "spec": spec,
        "setting": setting,
        "default_context": context,
        "measures": tuple(measures),
    }
    return type(metadata.name, (CollectionTask,), content)


def make_tasks(spec: CollectionSpec, measures: Sequence[Measure]) -> list[type[CollectionTask]]:
    """All tasks of a collection: each setting, with sentences alone and in context.

    Raises:
        PluginError: A setting that needs a parallel collection, a name for several tasks, or a main
            score that no measure gives.
    """
    for setting in spec.settings:
        _check(spec, setting, measures)
    return [
        make_task(spec, setting, context, measures)
        for context in spec.contexts
        for setting in spec.settings
    ]


def _check(spec: CollectionSpec, setting: Setting, measures: Sequence[Measure]) -> None:
    if not spec.parallel and setting not in STREAMED_TEXT:
        raise PluginError(
            f"{spec.name} is not parallel, so it has no {setting} setting; choose from "
            f"{', '.join(STREAMED_TEXT)}"
        )
    if spec.task and (len(spec.languages) != 1 or spec.settings != (Setting.MONOLINGUAL,)):
        raise PluginError(
            f"{spec.task} is named as the only task of {spec.name}, which must then have one "
            "language and the monolingual setting; leave task empty"
        )
    known = [measure.name for measure in measures if setting in measure.settings]
    if spec.main_score not in known:
        raise PluginError(
            f"{spec.name}: main_score {quoted(spec.main_score)} is no measure; choose from "
            f"{', '.join(known)}"
        )
