"""What MTEB is told of a task: its metadata, citation and descriptive statistics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from mteb.abstasks.task_metadata import TaskMetadata
from pydantic import PrivateAttr

from hybridir_mteb import paths
from hybridir_mteb.collections.languages import language
from hybridir_mteb.plugins.settings import Context, Setting
from hybridir_mteb.plugins.specs import CollectionSpec

STATISTICS_DIR = paths.DATA / "descriptive_stats"
_SETTING_TEXT = {
    Setting.MONOLINGUAL: "Queries and candidate passages are in the same language.",
    Setting.CROSS_LINGUAL: "Queries are in one language, all candidate passages in another.",
    Setting.MULTILINGUAL: (
        "One pool holds the candidate passages of all languages, and a query's relevant passages "
        "are those in every language; language bias is measured beside effectiveness."
    ),
}
_CONTEXT_TEXT = {
    Context.SENTENCE: " A candidate is one sentence.",
    Context.SENTENCE_AND_PARAGRAPH: " A candidate is one sentence followed by its paragraph.",
}
# Of collections that are not parallel, which have no other settings.
STREAMED_TEXT = {
    Setting.MONOLINGUAL: _SETTING_TEXT[Setting.MONOLINGUAL],
    Setting.MULTILINGUAL: (
        "One pool holds the candidate passages of all languages; language bias is measured beside "
        "effectiveness. Relevant passages are known in the query's language only."
    ),
}
# Where a BibTeX field goes on in the next line.
_WRAPPED = re.compile(r"[ \t]*\n[ \t]+(?![ \t]|\w+[ \t]*=)")
_BETWEEN = re.compile(r"\n\s*(?=@)")


class CollectionTaskMetadata(TaskMetadata):
    """MTEB's metadata, with descriptive statistics that ship in this package or a plugin."""

    _statistics: Path = PrivateAttr(STATISTICS_DIR)

    @property
    def descriptive_stat_path(self) -> Path:
        """Where the descriptive statistics are."""
        return self._statistics / f"{self.name}.json"


def bibtex(citation: str) -> str:
    r"""A citation as MTEB's tests want it: a line for each field, entries in the order of keys.

    Args:
        citation: BibTeX with one entry or more, whose fields may be wrapped.

    >>> print(bibtex("@misc{b,\n  title = {Two\n           lines},\n}\n\n@misc{a,\n}"))
    @misc{a,
    }
    <BLANKLINE>
    @misc{b,
      title = {Two lines},
    }
    """
    entries = _BETWEEN.split(_WRAPPED.sub(" ", citation.strip()))
    return "\n\n".join(sorted(entries, key=lambda one: one.partition("{")[2].lower()))


def task_metadata(spec: CollectionSpec, setting: Setting, context: Context) -> TaskMetadata:
    """The metadata of one task."""
    card = spec.card
    text = _SETTING_TEXT[setting] + (_CONTEXT_TEXT[context] if spec.has_paragraphs else "")
    metadata = CollectionTaskMetadata(
        name=spec.task_name(setting, context),
        description=f"{card.description} {text if spec.parallel else STREAMED_TEXT[setting]}",
        reference=card.reference,
        dataset={"path": card.dataset, "revision": card.revision},
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=[spec.split],
        eval_langs=cast("Any", _language_codes(spec, setting)),
        main_score=spec.main_score,
        date=card.date,
        domains=list(cast("Any", card.domains)),
        task_subtypes=cast("Any", ["Question answering"] if spec.contexts[1:] else []),
        license=cast("Any", card.license),
        annotations_creators=cast("Any", card.annotations_creators),
        dialect=[],
        sample_creation=cast("Any", card.sample_creation),
        bibtex_citation=bibtex(card.citation),
        adapted_from=list(card.adapted_from) or None,
    )
    if spec.statistics is not None:
        metadata._statistics = Path(spec.statistics)
    return metadata


def _language_codes(spec: CollectionSpec, setting: Setting) -> dict[str, list[str]] | list[str]:
    """Subset -> MTEB's language codes, the query's first; a list if the task names its subset."""
    codes = {}
    for subset in spec.subsets(setting):
        spoken = (*spec.query_languages, *subset.languages)
        codes[subset.name] = list(dict.fromkeys(language(code).mteb_code for code in spoken))
    return next(iter(codes.values())) if spec.task else codes
