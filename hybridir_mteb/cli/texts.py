"""Texts of questions and answers for a page, of collections whose files are at hand."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from hybridir_mteb.collections.download import locate
from hybridir_mteb.errors import HybridIRError
from hybridir_mteb.installed import installed_collections
from hybridir_mteb.plugins.settings import IN_CONTEXT
from hybridir_mteb.plugins.specs import CollectionSpec
from hybridir_mteb.results.html.gather import shortened
from hybridir_mteb.results.html.questions import Texts, TextsOf


def texts_of(collection: str) -> TextsOf | None:
    """What gives the texts of a parallel collection, a language read when first asked for.

    Args:
        collection: Its name, as results name it.

    Returns:
        None if it is not known here, or a file of it is missing: nothing is downloaded for a page.
    """
    known = installed_collections()
    name = collection.removesuffix(IN_CONTEXT)
    if name not in known:
        return None
    spec: CollectionSpec = known[name]
    if not spec.parallel or not all(locate(file) for file in spec.files):
        return None
    read = cache(lambda language: _read(spec, language))
    return lambda language, query: read(language).get(query)


def _read(spec: CollectionSpec, language: str) -> Mapping[str, Texts]:
    """Query -> its texts; nothing of what cannot be read, since the scores can be shown."""
    try:
        part = spec.read([language])[language]
        passages = {passage.id: passage.text for passage in part.passages.passages()}
    except (HybridIRError, OSError, KeyError):
        return {}
    found = {}
    for query, text in part.queries.items():
        relevant = (
            passages.get(one, "") for one, grade in part.qrels.get(query, {}).items() if grade > 0
        )
        found[query] = Texts(text, shortened(next(relevant, "")))
    return found
