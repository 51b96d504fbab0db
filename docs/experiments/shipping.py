"""Research code: put encoders of ``pocket`` into the package."""

from __future__ import annotations

import shutil
from pathlib import Path

from hybridir_mteb.encoders import trained
from hybridir_mteb.files import write_text

# What the makers of the backbone say of it; a test asks MTEB about every encoder of the package.
SEEN = "MTEB calls it zero-shot on neither XQuAD-R nor MIRACL: its backbone saw SQuAD and MIRACL"
AFTER = "- No text "  # how the line of a card begins that it ends


def ship(folder: Path) -> None:
    """Copy an encoder into the package in the place of the one of its name.

    Args:
        folder: The encoder's.

    Raises:
        DataFormatError: It holds no encoder.
        ValueError: The card has no line about what it was trained or fitted on.
    """
    target = trained.PACKAGED / trained.read_encoder(folder).name.partition("/")[2]
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    card = target / trained.CARD
    lines = card.read_text(encoding="utf-8").splitlines()
    (at,) = (at for at, line in enumerate(lines) if line.startswith(AFTER))
    lines[at] += f". {SEEN}"
    write_text(card, "\n".join(lines) + "\n")
