"""One way to compare texts: what the leak check and the search for false negatives call equal."""

from __future__ import annotations

import unicodedata


def normalise(text: str) -> str:
    """Letters and digits of a text, compatibility forms and case folded, all else dropped.

    Spaces and punctuation go too: they differ between copies of one text and between scripts.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if unicodedata.category(char)[0] in "LNM")
