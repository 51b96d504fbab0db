"""A complete plugin of hybridir-mteb: an encoder, a collection and a measure.

Install it (``pip install .``), and stock MTEB knows its names::

    mteb run -m example/char-ngrams -t ExampleQAMonolingualRetrieval

The hooks at the end of the file register everything; keep only those that you need. The module is
loaded as soon as anybody imports mteb, so heavy imports belong inside functions. A script that
imports this module itself has to import mteb first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta, ScoringFunction

from hybridir_mteb import (
    CollectionCard,
    CollectionSpec,
    LanguagePart,
    Measure,
    ParallelCollection,
    Passage,
    Query,
    RankTable,
    hookimpl,
)

if TYPE_CHECKING:
    from mteb import TaskMetadata
    from mteb.types import BatchedInput, PromptType
    from torch.utils.data import DataLoader

# --- An encoder: any MTEB encoder will do. ---

DIMENSION = 1024


class CharNgramEncoder(AbsEncoder):
    """Character n-grams hashed into a vector: no weights, no training, any language.

    Args:
        model_name: The registered name; MTEB passes it to every loader.
        revision: The registered revision, likewise.
        device: The device that the user chose; there is nothing to put on it here.
    """

    mteb_model_meta: ModelMeta  # set by MTEB once the encoder is loaded

    def __init__(
        self, model_name: str, revision: str | None = None, device: str | int | None = None
    ) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        self._vectorizer = HashingVectorizer(
            analyzer="char_wb", ngram_range=(2, 4), n_features=DIMENSION, dtype=np.float32
        )

    def encode(
        self,
        inputs: DataLoader[BatchedInput],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        **kwargs: Any,
    ) -> npt.NDArray[np.float32]:
        """Embed texts.

        Args:
            inputs: Batches; each is a dict whose ``text`` is a list of strings.
            task_metadata: The task, for encoders whose prompts depend on it.
            hf_split: The evaluation split.
            hf_subset: The subset, here a language or a pair of languages.
            prompt_type: Whether the texts are queries or documents; None in symmetric tasks.
            **kwargs: The user's ``encode_kwargs``, such as ``batch_size``.

        Returns:
            (n_texts, DIMENSION) float32 embeddings, in input order.
        """
        texts = [text for batch in inputs for text in batch["text"]]
        vectors: npt.NDArray[np.float32] = self._vectorizer.transform(texts).toarray()
        return vectors


CHAR_NGRAMS = ModelMeta(
    loader=CharNgramEncoder,
    name="example/char-ngrams",
    revision="1",  # MTEB keeps results by name and revision: change it with every change of code
    release_date="2026-11-23",
    languages=["deu-Latn", "eng-Latn"],
    n_parameters=0,
    memory_usage_mb=0,
    max_tokens=None,
    embed_dim=DIMENSION,
    license="apache-2.0",
    open_weights=True,
    public_training_code=None,
    public_training_data=None,
    framework=["NumPy"],
    similarity_fn_name=ScoringFunction.COSINE,
    use_instructions=False,
    training_datasets=set(),
)

# --- A collection: becomes one MTEB task for each setting. ---

# Language -> id shared by translations -> question, the sentence that answers it, a distractor.
FACTS = {
    "en": {
        "amber": (
            "What is amber made of?",
            "Amber is made of the hardened resin of ancient trees.",
            "Bees build their combs of wax.",
        ),
        "axolotl": (
            "Where does the axolotl live in the wild?",
            "In the wild the axolotl lives only in lakes near Mexico City.",
            "Many salamanders leave the water once they are grown.",
        ),
        "compass": (
            "Where does the needle of a compass point?",
            "The needle of a compass points to the magnetic north pole.",
            "Sailors used to find their way by the stars.",
        ),
    },
    "de": {
        "amber": (
            "Woraus besteht Bernstein?",
            "Bernstein besteht aus dem gehärteten Harz uralter Bäume.",
            "Bienen bauen ihre Waben aus Wachs.",
        ),
        "axolotl": (
            "Wo lebt der Axolotl in freier Natur?",
            "In freier Natur lebt der Axolotl nur in Seen bei Mexiko-Stadt.",
            "Viele Salamander verlassen das Wasser, sobald sie erwachsen sind.",
        ),
        "compass": (
            "Wohin zeigt die Nadel eines Kompasses?",
            "Die Nadel eines Kompasses zeigt zum magnetischen Nordpol.",
            "Seeleute fanden ihren Weg früher nach den Sternen.",
        ),
    },
}


def load_example_qa(languages: Sequence[str]) -> ParallelCollection:
    """The chosen languages. For files, see ``hybridir_mteb.read_jsonl``.

    Args:
        languages: ISO 639-1 codes.
    """
    return ParallelCollection("ExampleQA", {code: _language_part(code) for code in languages})


def _language_part(language: str) -> LanguagePart:
    queries: list[Query] = []
    passages: list[Passage] = []
    for fact, (question, answer, distractor) in FACTS[language].items():
        queries.append(Query(fact, question, relevant=(len(passages),)))
        passages += [Passage(f"{fact}.0", answer), Passage(f"{fact}.1", distractor)]
    return LanguagePart(language, tuple(queries), tuple(passages))


EXAMPLE_QA = CollectionSpec(
    name="ExampleQA",
    languages=tuple(FACTS),
    load=load_example_qa,
    card=CollectionCard(
        description="Three questions in English and German, for the documentation.",
        reference="https://pypi.org/project/hybridir-mteb/",
        dataset="example/example-qa",
        revision="1",  # change it with the data
        license="cc0-1.0",
        date=("2026-11-23", "2026-11-23"),
        domains=("Encyclopaedic", "Written"),
        sample_creation="created",
    ),
    has_paragraphs=False,  # the passages have no text around them
)

# --- A measure: reported by every task of this package, the built-in ones included. ---


def success(table: RankTable, depth: int) -> npt.NDArray[np.float64]:
    """1 for each query with a relevant passage in the first ``depth`` ranks, else 0.

    Args:
        table: The ranks of all relevant passages.
        depth: The last rank that counts.

    Returns:
        (n_queries,) float64; NaN would mean that the measure is undefined for a query.
    """
    found = table.sum_by_query((table.ranks <= depth).astype(np.float64))
    return np.minimum(found, 1.0)


SUCCESS_AT_5 = Measure(
    "success_at_5",
    partial(success, depth=5),
    "Share of queries with a relevant passage in the top 5; 0 to 1, higher is better",
)

# --- The hooks: call ``register`` as often as you like. ---


@hookimpl
def register_models(register: Callable[[Any], None]) -> None:
    """Register the encoder."""
    register(CHAR_NGRAMS)


@hookimpl
def register_collections(register: Callable[[Any], None]) -> None:
    """Register the collection."""
    register(EXAMPLE_QA)


@hookimpl
def register_measures(register: Callable[[Any], None]) -> None:
    """Register the measure."""
    register(SUCCESS_AT_5)
