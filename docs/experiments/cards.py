"""Research code: what the cards of the package's encoders say beside what training writes."""

from __future__ import annotations

from pathlib import Path

from hybridir_mteb.encoders import trained
from hybridir_mteb.files import write_text

# What the makers of the backbone say of it; a test asks MTEB about every encoder of the package.
SEEN = "MTEB calls it zero-shot on neither XQuAD-R nor MIRACL: its backbone saw SQuAD and MIRACL"
AFTER = "- No text "  # how the line begins that it ends


def say_what_was_seen(folder: Path) -> None:
    """Put into the card of an encoder of ``pocket`` that it is not zero-shot everywhere.

    Args:
        folder: The encoder's.

    Raises:
        ValueError: The card has no line about what it was trained or fitted on.
    """
    card = folder / trained.CARD
    lines = card.read_text(encoding="utf-8").splitlines()
    (at,) = (at for at, line in enumerate(lines) if line.startswith(AFTER))
    if SEEN not in lines[at]:
        lines[at] += f". {SEEN}"
    write_text(card, "\n".join(lines) + "\n")
