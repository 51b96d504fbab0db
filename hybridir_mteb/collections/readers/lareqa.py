"""Reader of the LAReQA format: SQuAD-style JSON plus ``sentences`` and ``sentence_breaks``.

Every sentence occurrence is a candidate; the relevant one is the sentence whose character span
holds ``answer_start`` (Roy et al. 2020, LAReQA).
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybridir_mteb.collections.collection import LanguagePart, ParallelCollection, Passage, Query
from hybridir_mteb.errors import DataFormatError


def read_lareqa(name: str, files: Mapping[str, Path]) -> ParallelCollection:
    """A collection from one JSON file for each language.

    Args:
        name: Name of the collection.
        files: Language code -> file.

    Raises:
        DataFormatError: A file is not JSON of this layout; the message names file and paragraph.
        FileNotFoundError: A file does not exist.
    """
    return ParallelCollection(name, {code: _read_part(code, path) for code, path in files.items()})


def _read_part(language: str, path: Path) -> LanguagePart:
    try:
        with path.open(encoding="utf-8") as stream:
            document = json.load(stream)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataFormatError(f"{path}: not valid JSON: {error}") from error
    passages: list[Passage] = []
    queries: list[Query] = []
    try:
        for article_index, article in enumerate(document["data"]):
            for paragraph_index, paragraph in enumerate(article["paragraphs"]):
                where = f"{article_index}.{paragraph_index}"
                queries += _queries(paragraph, len(passages), f"paragraph {where}")
                passages += [
                    Passage(f"{where}.{at}", sentence, paragraph["context"])
                    for at, sentence in enumerate(paragraph["sentences"])
                ]
        return LanguagePart(language, tuple(queries), tuple(passages))
    except DataFormatError as error:
        raise DataFormatError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataFormatError(
            f"{path}: not in the LAReQA layout, missing or misplaced: {error}"
        ) from error


def _queries(paragraph: Mapping[str, Any], offset: int, where: str) -> list[Query]:
    """The questions of a paragraph; ``offset`` is the position of its first sentence."""
    breaks = [(int(start), int(end)) for start, end in paragraph["sentence_breaks"]]
    if len(breaks) != len(paragraph["sentences"]) or breaks != sorted(breaks):
        raise DataFormatError(f"{where}: sentences and sentence_breaks do not match")
    starts = [start for start, _ in breaks]
    found = []
    for question in paragraph["qas"]:
        relevant = set()
        for answer in question["answers"]:
            at = bisect_right(starts, answer["answer_start"]) - 1
            if at < 0 or answer["answer_start"] >= breaks[at][1]:
                raise DataFormatError(
                    f"{where}, question {question['id']}: answer_start "
                    f"{answer['answer_start']} lies in no sentence"
                )
            relevant.add(offset + at)
        found.append(Query(question["id"], question["question"], tuple(sorted(relevant))))
    return found
