"""Measures of one subset of a streamed task. Loaded at first use."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from hybridir_mteb.adapters.mteb import embed as mteb_embed
from hybridir_mteb.adapters.mteb.bias import bias_details
from hybridir_mteb.adapters.mteb.streamed_probe import Probe, probe_of
from hybridir_mteb.adapters.mteb.streamed_search import Found, SubsetSearch
from hybridir_mteb.measures.applicable import Circumstances, not_applicable
from hybridir_mteb.measures.measure import RankTable, evaluate_measures
from hybridir_mteb.measures.view import TOP_DEPTH, LanguageView
from hybridir_mteb.plugins.settings import Setting

logger = logging.getLogger(__name__)


class StreamedEvaluation(SubsetSearch):
    """One subset: what a model finds, and how good that is. Arguments as for a search."""

    def scores(self, model: Any, found: Found) -> dict[str, Any]:
        """All measures of the task's setting.

        Args:
            model: The system.
            found: What it found.
        """
        if found.missing:
            logger.warning(
                "%s, subset %s: %d relevant passages are not in the corpus and count as not found; "
                "is the corpus complete?",
                self.task.metadata.name,
                self.call.subset,
                found.missing,
            )
        counts: dict[str, Any] = {
            "n_queries": len(self.query_ids),
            "n_passages": int(found.n_passages.sum()),
            "n_missing_passages": found.missing,
        }
        if found.embeddings:
            counts["shard_dtype"] = self.dtype
        if self.task.setting is not Setting.MULTILINGUAL:
            table = self._table(found, None)
            return {**evaluate_measures(self.task.measures, table, self.task.setting), **counts}
        probe = self._probe(model) if found.embeddings else Probe({}, "")
        view = LanguageView(
            self.codes,
            queries=np.full(len(self.query_ids), self.language_number),
            entries=np.full(len(found.ranks), self.language_number),
            pool=found.n_passages,
            top=found.top[:, :TOP_DEPTH],
            probe=np.array([probe.accuracy.get(code, np.nan) for code in self.codes]),
        )
        table = self._table(found, view)
        refused = self._refused(table, found, probe)
        used = [m for m in self.task.measures if m.name not in refused]
        return {
            **evaluate_measures(used, table, self.task.setting),
            **bias_details(table, used),
            "not_applicable": refused,
            **counts,
        }

    def _table(self, found: Found, view: LanguageView | None) -> RankTable:
        judged = self.judged
        n_passages = int(found.n_passages.sum())
        return RankTable.build(judged.relevance, found.ranks, n_passages, judged.gains, view)

    def _refused(self, table: RankTable, found: Found, probe: Probe) -> Mapping[str, str]:
        """Measures that say nothing about the pool, and why: no query has a translation."""
        circumstances = Circumstances(
            table,
            items=self.query_ids,
            parallel=False,
            embeddings=found.embeddings,
            no_probe=probe.reason,
        )
        return not_applicable(circumstances, [m.name for m in self.task.measures])

    def _probe(self, model: Any) -> Probe:
        """Computed at the first subset, from the relevant passages of all languages."""
        state = mteb_embed.encode_once_of(model, self.call)
        found: Probe = self.task.memory.get(model, state, lambda: probe_of(model, self))
        return found
