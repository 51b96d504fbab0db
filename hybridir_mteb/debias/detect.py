"""The language of a text, by the offline detector py3langid.

Codes are the detector's own: ISO 639-1 where there is one. Varieties of one macrolanguage count as
that language, since a short text does not tell them apart.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from hybridir_mteb import paths
from hybridir_mteb.errors import SettingError, from_extra, quoted, suggest
from hybridir_mteb.files.json_text import read_json_object

# ISO 639-3 code -> code of the macrolanguage; also what MTEB writes for the languages themselves.
_MACRO = {
    "ar": "arb ary arz apc acm ajp ars aeb acq",
    "zh": "cmn wuu yue",
    "fa": "pes prs",
    "ms": "zsm",
    "sw": "swh",
    "no": "nob",
    "et": "ekk",
    "lv": "lvs",
    "mn": "khk",
    "uz": "uzn uzs",
    "az": "azj azb",
    "sq": "als",
    "ne": "npi",
    "or": "ory",
    "ps": "pbt",
    "mg": "plt",
    "om": "gaz",
    "ku": "kmr",
    "tl": "fil",
}
MACRO = {code: macro for macro, codes in _MACRO.items() for code in codes.split()}
# What the detector answers besides; known without it, since codes are also given by users.
_OTHERS = "ace bcl crh ext fuv gcf gcr gom grc gug guw hbo kab kik lij ltg nso pcm sdh vec"
# A share of the probability, after normalising over the languages that come into question. Above
# one half: of two equally likely languages none is taken.
CONFIDENCE = 0.5


@lru_cache(maxsize=1)
def _detector() -> Any:
    with from_extra("debias", "detecting the language of texts"):
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=64)
def _restricted(languages: frozenset[str]) -> Any:
    detector = copy.copy(_detector())  # the tables are shared
    detector.set_languages([label for label in detector.labels if _merged(label) in languages])
    return detector


def _merged(code: str) -> str:
    return MACRO.get(code, code)


@lru_cache(maxsize=1)
def iso_639() -> dict[str, str]:
    """ISO 639-1 -> ISO 639-3, of every language that has a code of two letters."""
    return read_json_object(paths.DATA / "iso-639.json")


@lru_cache(maxsize=1024)
def macrolanguage(code: str) -> str:
    """The code that statistics are kept under: that of the macrolanguage if there is one."""
    return MACRO.get(code) or MACRO.get(iso_639().get(code, code), code)


@lru_cache(maxsize=1)
def language_codes() -> frozenset[str]:
    """Every code that means a language here."""
    return frozenset({*MACRO, *_OTHERS.split(), *iso_639()})


def check_code(code: object) -> None:
    """Refuse what is no code of a language.

    Raises:
        SettingError: Such as ``german``.
    """
    if not isinstance(code, str) or code not in language_codes():
        raise SettingError(
            f"unknown language code {quoted(code, 80)}: expected ISO 639-1, such as de"
            f"{suggest(code if isinstance(code, str) else '', language_codes())}"
        )


@lru_cache(maxsize=1)
def detectable() -> frozenset[str]:
    """Codes that the detector can answer; ``zxx`` is none, such as for numbers."""
    return frozenset(map(_merged, _detector().labels))


def detect(texts: Sequence[str], among: Iterable[str] = ()) -> list[str | None]:
    """The language of each text; None where the detector is not sure.

    Args:
        texts: Any number of texts.
        among: Codes that come into question; by default all. If the detector does not know one of
            them, it is not restricted, and a language that is not among them counts as unknown.
    """
    wanted = frozenset(map(_merged, among))
    known = wanted <= detectable()
    detector = _restricted(wanted) if wanted and known else _detector()
    found: list[str | None] = []
    for text in texts:
        label, confidence = detector.classify(text)
        code = _merged(label)
        sure = confidence > CONFIDENCE and (not wanted or code in wanted)
        found.append(code if sure else None)
    return found
