"""What plugins register: collections and training methods. Models are MTEB's own ``ModelMeta``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hybridir_mteb.collection import ParallelCollection
from hybridir_mteb.settings import Setting
from hybridir_mteb.sources import DataFile


@dataclass(frozen=True)
class CollectionCard:
    """What MTEB wants to know of a data set; the values are those that ``TaskMetadata`` accepts.

    Attributes:
        description: One or two sentences.
        reference: URL of the paper or the data.
        dataset: Where the data come from, such as ``owner/repository``.
        revision: Pinned revision of the data.
        license: Lower-case licence identifier.
        date: First and last day of the text, ISO format.
        domains: MTEB's domains.
        citation: BibTeX, or an empty string.
        annotations_creators: MTEB's annotator type.
        sample_creation: MTEB's sample creation method.
        adapted_from: MTEB tasks on the same data; models trained on those are not zero-shot here.
    """

    description: str
    reference: str
    dataset: str
    revision: str
    license: str
    date: tuple[str, str]
    domains: tuple[str, ...]
    citation: str = ""
    annotations_creators: str = "human-annotated"
    sample_creation: str = "found"
    adapted_from: tuple[str, ...] = ()


@dataclass(frozen=True)
class CollectionSpec:
    """A retrieval collection and how to get it; becomes one MTEB task for each setting.

    Attributes:
        name: PascalCase; the tasks are ``<name>MonolingualRetrieval`` and so on.
        languages: ISO 639-1 codes.
        load: Given language codes, returns the collection with at least these.
        card: Description, licence, citation.
        files: Upstream files, for ``hybridir data``; empty if the data ship with a package.
        split: Name of the evaluation split.
        settings: Settings that make sense for the collection.
        has_paragraphs: Whether ``context="sentence+paragraph"`` is offered.
    """

    name: str
    languages: tuple[str, ...]
    load: Callable[[Sequence[str]], ParallelCollection]
    card: CollectionCard
    files: tuple[DataFile, ...] = ()
    split: str = "test"
    settings: tuple[Setting, ...] = tuple(Setting)
    has_paragraphs: bool = True


@dataclass(frozen=True)
class TrainingMethod:
    """A way to train an encoder; encoders are named ``hybridir/<backbone>-<method>``.

    Attributes:
        name: Lower case, such as ``hybrid``.
        summary: One sentence: what a batch is, and the loss.
        source: Paper.
    """

    name: str
    summary: str
    source: str
