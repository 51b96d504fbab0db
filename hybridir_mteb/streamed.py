"""Collections whose passages are streamed: MIRACL, BEIR folders, and pools made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hybridir_mteb.errors import UnknownNameError
from hybridir_mteb.hub_files import HubFolder
from hybridir_mteb.passages import PassageSource
from hybridir_mteb.settings import Setting
from hybridir_mteb.sources import DataFile
from hybridir_mteb.specs import CollectionCard


@dataclass(frozen=True)
class StreamedPart:
    """One language of a streamed collection.

    Attributes:
        language: ISO 639-1 code of the passages.
        queries: Query id -> text, in file order.
        qrels: Query id -> passage id -> grade; relevant from 1. Ids are those of the files.
        passages: The candidates.
    """

    language: str
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]] = field(repr=False)
    passages: PassageSource = field(repr=False)

    def judged(self) -> dict[str, Mapping[str, int]]:
        """Query -> passage -> grade of the queries that have a relevant passage."""
        grades = {query: self.qrels.get(query, {}) for query in self.queries}
        return {q: found for q, found in grades.items() if any(g > 0 for g in found.values())}


@dataclass(frozen=True)
class StreamedSpec:
    """A collection that is not parallel and may be larger than memory; registered as collections.

    Attributes:
        name: PascalCase; the tasks are ``<name>MonolingualRetrieval`` and so on.
        languages: ISO 639-1 codes.
        load: Given a language code, returns that language; reads no passage yet.
        card: Description, licence, citation.
        files: Upstream files with a known checksum, for ``hybridir data``.
        split: Name of the evaluation split.
        settings: Monolingual: one subset a language. Multilingual: one pool of all languages, and
            a subset for the queries of each.
        task: Name of the only task, of a collection in one language: it has one subset,
            ``default``. Empty: names are made from ``name`` and setting.
        query_languages: Codes of the queries where they differ from the passages', for MTEB's
            metadata.
        main_score: The measure that MTEB shows.
        corpora: Language code -> where its passages are, for ``hybridir data``; empty if they are
            not on the hub.
    """

    name: str
    languages: tuple[str, ...]
    load: Callable[[str], StreamedPart]
    card: CollectionCard
    files: tuple[DataFile, ...] = ()
    split: str = "test"
    settings: tuple[Setting, ...] = (Setting.MONOLINGUAL,)
    task: str = ""
    query_languages: tuple[str, ...] = ()
    main_score: str = "ndcg_at_10"
    corpora: Mapping[str, HubFolder] = field(default_factory=dict, repr=False)


def pool_of(spec: StreamedSpec, languages: Sequence[str]) -> StreamedSpec:
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
        )
    name = spec.name + "".join(code.capitalize() for code in chosen)
    return replace(spec, name=name, languages=chosen, settings=(Setting.MULTILINGUAL,), task="")
