"""Code switching: words of monolingual training text replaced by translations.

Litschko et al. 2023 (arXiv 2305.05295): each word is replaced with probability p by its translation
into a language drawn anew for each word, from bilingual lexicons.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

from hybridir_mteb.errors import SettingError
from hybridir_mteb.training.lexicon import Lexicon, bare

_WORD = re.compile(r"\S+")


class CodeSwitch:
    """The text transform of the method ``codeswitch``.

    Args:
        lexicons: Target language -> lexicon from the source language.
        source_language: Only text in this language is switched.
        probability: Probability that a word which a lexicon has is replaced.

    Raises:
        SettingError: The probability is outside 0 to 1, or no lexicon holds a word.
    """

    def __init__(
        self, lexicons: Mapping[str, Lexicon], source_language: str, probability: float = 0.5
    ) -> None:
        if not 0 <= probability <= 1:
            raise SettingError(f"codeswitch probability is 0 to 1, not {probability}")
        if not any(lexicons.values()):
            raise SettingError("codeswitch needs a lexicon that holds at least one word")
        self.source_language = source_language
        self.probability = probability
        self._lexicons = {code: words for code, words in sorted(lexicons.items()) if words}

    def __call__(self, text: str, language: str, salt: int) -> str:
        """The text with some words replaced; the same salt replaces the same words."""
        if language != self.source_language:
            return text
        rng = random.Random(salt)  # noqa: S311 -- not for secrets
        return _WORD.sub(lambda match: self._replace(match.group(), rng), text)

    def _replace(self, token: str, rng: random.Random) -> str:
        word = bare(token)
        known = [code for code, lexicon in self._lexicons.items() if word.lower() in lexicon]
        if not word or not known or rng.random() >= self.probability:
            return token
        translation = rng.choice(self._lexicons[rng.choice(known)][word.lower()])
        return token.replace(word, like_case(word, translation), 1)


def like_case(word: str, translation: str) -> str:
    """The translation in the case of the word it replaces; without case it stays as it is."""
    if len(word) > 1 and word.isupper():
        return translation.upper()
    if word[:1].isupper():
        return translation[:1].upper() + translation[1:]
    return translation
