"""Line-parallel documents turned into query-passage pairs.

The inverse cloze task (Lee et al. 2019): the query is a sentence, the passage its neighbours in the
same document; with a given probability the sentence itself stays in. ``crop`` makes the query a
part of the sentence instead (Izacard et al. 2022), which is closer to a question's few words.
Choices are made once for each item and are the same in every language, so items stay parallel.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hybridir_mteb.errors import DataFormatError
from hybridir_mteb.files.reading import numbered_lines
from hybridir_mteb.training.pairs import Example, Source, TrainingItem
from hybridir_mteb.training.recipe import Documents

UNSPACED = {"zh", "ja", "th"}  # written without spaces between words
MIN_CROP = 3
CHARACTERS_OF_A_WORD = 4  # in unspaced scripts: what a crop counts as a word


@dataclass(frozen=True)
class LineParallel:
    """Documents whose line i is the same sentence in every language.

    Attributes:
        name: For messages and metadata.
        lines: Language code -> sentences, equally many.
        documents: The document of each line.
    """

    name: str
    lines: Mapping[str, Sequence[str]]
    documents: Sequence[str]

    def window(self, at: int, width: int) -> list[int]:
        """Lines of the same document within ``width`` of line ``at``, itself included."""
        around = range(max(0, at - width), min(len(self.documents), at + width + 1))
        return [other for other in around if self.documents[other] == self.documents[at]]

    def join(self, language: str, lines: Sequence[int]) -> str:
        """Some lines as running text."""
        glue = "" if language in {"zh", "ja"} else " "
        return glue.join(self.lines[language][at] for at in lines)


def read_lines(files: Mapping[str, Path], documents: Path, name: str) -> LineParallel:
    """Read one file a language and the file that names each line's document.

    Raises:
        DataUnavailableError: A file cannot be read.
        DataFormatError: A file that is not UTF-8, or has another number of lines than the others.
    """
    ids = text_lines(documents)
    lines = {code: text_lines(path) for code, path in files.items()}
    for code, found in lines.items():
        if len(found) != len(ids):
            raise DataFormatError(
                f"{files[code]}: {len(found)} lines, but {documents} has {len(ids)}: "
                "line-parallel files must be equally long"
            )
    return LineParallel(name, lines, ids)


def text_lines(path: Path) -> list[str]:
    """The lines of a text file, without blanks around them; errors as of :func:`numbered_lines`."""
    return [line.strip() for _, line in numbered_lines(path)]


def inverse_cloze(corpus: LineParallel, options: Documents, origin: str = "") -> Source:
    """One item for each sentence that has enough words.

    Raises:
        DataFormatError: No sentence gives a pair.
    """
    rng = random.Random(options.seed)  # noqa: S311 -- not for secrets
    items = []
    for at in range(len(corpus.documents)):
        cropped, kept = rng.random() < options.crop, rng.random() < options.keep
        spot = rng.random()
        length = rng.uniform(0.25, 0.6)
        context = [at] if cropped else corpus.window(at, options.window)
        if not (cropped or kept):
            context = [other for other in context if other != at]
        examples = {}
        for code, lines in corpus.lines.items():
            sentence, passage = lines[at], corpus.join(code, context).strip()
            if len(words(sentence, code)) >= options.min_words and passage:
                query = crop_words(sentence, code, length, spot) if cropped else sentence
                examples[code] = Example(query, passage)
        if examples:
            document = corpus.documents[at]
            items.append(TrainingItem(f"{document}:{at + 1}", examples, document))
    if not items:
        raise DataFormatError(
            f"{corpus.name}: no sentence of {options.min_words} words with a neighbour: nothing to "
            "train on"
        )
    return Source(
        corpus.name, tuple(items), origin, written=False, documents=tuple(corpus.documents)
    )


def words(text: str, language: str) -> list[str]:
    """Words, or pieces of a few characters in scripts that do not separate words."""
    if language not in UNSPACED:
        return text.split()
    step = CHARACTERS_OF_A_WORD
    return [text[at : at + step] for at in range(0, len(text), step)]


def crop_words(text: str, language: str, share: float, spot: float) -> str:
    """A contiguous part of a text.

    Args:
        text: The text.
        language: Its language.
        share: Length of the part, relative to the text; never below three words.
        spot: Where it starts, from 0 (the beginning) to 1 (as late as it fits).
    """
    pieces = words(text, language)
    length = max(MIN_CROP, round(len(pieces) * share))
    start = round(max(0, len(pieces) - length) * spot)
    glue = "" if language in UNSPACED else " "
    return glue.join(pieces[start : start + length])
