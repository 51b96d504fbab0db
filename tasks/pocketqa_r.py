"""PocketQA-R: 48 facts in the 11 XQuAD-R languages, shipped with the package (CC0)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import hybridir_mteb
from hybridir_mteb.collections.collection import ParallelCollection
from hybridir_mteb.collections.readers.jsonl import read_jsonl
from hybridir_mteb.plugins.specs import CollectionCard, CollectionSpec

FOLDER = Path(hybridir_mteb.__file__).parent / "data" / "pocketqa-r"


def load(languages: Sequence[str]) -> ParallelCollection:
    """The chosen languages, from the package itself."""
    return read_jsonl("PocketQAR", FOLDER, languages)


POCKETQA_R = CollectionSpec(
    name="PocketQAR",
    languages=("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"),
    load=load,
    card=CollectionCard(
        description=(
            "PocketQA-R is a small parallel collection for first runs and tests: 48 facts, a "
            "question and a three-sentence passage for each in 11 languages, of which one sentence "
            "answers it."
        ),
        reference="https://pypi.org/project/hybridir-mteb/",
        dataset="hybridir/pocketqa-r",
        revision="1",
        license="cc0-1.0",
        date=("2026-11-23", "2026-11-23"),
        domains=("Encyclopaedic", "Written"),
        annotations_creators="LM-generated and reviewed",
        sample_creation="LM-generated and verified",
    ),
)
