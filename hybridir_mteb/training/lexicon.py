"""Bilingual lexicons: MUSE files, and lexicons induced from line-parallel text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hybridir_mteb.errors import DataFormatError, quoted
from hybridir_mteb.files.reading import numbered_lines
from hybridir_mteb.training.sources.documents import UNSPACED

# Lower-case source word -> its translations, best first.
Lexicon = dict[str, tuple[str, ...]]
MIN_COUNT = 3
EDGES = ".,;:!?\"'()[]{}«»„“”‘’¿¡…—–-؟،؛।"


def read_muse(path: Path) -> Lexicon:
    """A lexicon in MUSE's format: a word, a tab or a space, its translation, one pair a line.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: A line without two words, or not UTF-8; with file and line.
    """
    found: dict[str, list[str]] = {}
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        parts = line.split("\t") if "\t" in line else line.split(" ", 1)
        if len(parts) != 2 or not all(part.strip() for part in parts):
            raise DataFormatError(
                f"{path}:{number}: expected 'word TAB word', got {quoted(line, 80)}"
            )
        found.setdefault(parts[0].strip().lower(), []).append(parts[1].strip())
    return {word: tuple(dict.fromkeys(translations)) for word, translations in found.items()}


def bare(word: str) -> str:
    """A word without the punctuation around it."""
    return word.strip(EDGES)


def induce(
    source: Sequence[str],
    target: Sequence[str],
    *,
    target_language: str = "",
    min_score: float = 0.5,
) -> Lexicon:
    """Translations from line-parallel text, by mutual best association.

    The association of two words is the Dice coefficient of the lines that hold them, weighted by
    the log-likelihood that they share lines by more than chance (Melamed 2000 calls the scheme
    competitive linking; here each word keeps its one best partner, and only if it is that partner's
    best too). Needs no aligner; precise for words seen several times, silent on all others.

    Args:
        source: Lines of the one language, which separates words by spaces.
        target: The same lines in the other language.
        target_language: Unspaced scripts cannot be split into words here and give no lexicon.
        min_score: Smallest Dice coefficient.

    Raises:
        DataFormatError: Different numbers of lines.
    """
    if len(source) != len(target):
        raise DataFormatError(f"{len(source)} and {len(target)} lines: not line-parallel")
    if target_language in UNSPACED:
        return {}
    left, right = [_bag(line) for line in source], [_bag(line) for line in target]
    count_left, count_right = _frequencies(left), _frequencies(right)
    together: Counter[tuple[str, str]] = Counter()
    for one, other in zip(left, right, strict=True):
        frequent = [word for word in other if count_right[word] >= MIN_COUNT]
        for word in one:
            if count_left[word] >= MIN_COUNT:
                together.update((word, partner) for partner in frequent)
    best_left: dict[str, tuple[float, str]] = {}
    best_right: dict[str, tuple[float, str]] = {}
    for (word, partner), joint in together.items():
        dice = 2 * joint / (count_left[word] + count_right[partner])
        if joint < MIN_COUNT or dice < min_score:
            continue
        score = dice * math.log1p(joint)
        best_left[word] = max(best_left.get(word, (0.0, "")), (score, partner))
        best_right[partner] = max(best_right.get(partner, (0.0, "")), (score, word))
    return {
        word: (partner,)
        for word, (_, partner) in sorted(best_left.items())
        if best_right[partner][1] == word
    }


def _bag(line: str) -> frozenset[str]:
    return frozenset(word for word in (bare(piece).lower() for piece in line.split()) if word)


def _frequencies(bags: Sequence[frozenset[str]]) -> Counter[str]:
    return Counter(word for bag in bags for word in bag)
