"""What every encoder of this package says about itself: its record and its card."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hybridir_mteb import __version__
from hybridir_mteb.encoders.contents import CARD, RECORD, finite
from hybridir_mteb.errors import printable
from hybridir_mteb.files import write_text
from hybridir_mteb.files.record import write_record as write_sealed

_PLAIN = re.compile(r"[A-Za-z0-9/~][\w./+-]*", re.ASCII)  # other text is in quotes in YAML


def machine() -> dict[str, Any]:
    """The machine, for a record."""
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Versions of this package and of some libraries, for a record."""
    return {"hybridir-mteb": __version__, **{name: version(name) for name in libraries}}


def write_record(folder: Path, record: dict[str, Any], card: str) -> None:
    """Write an encoder's record and card into its folder."""
    write_sealed(folder / RECORD, finite(record))
    write_text(folder / CARD, card)


def card(record: dict[str, Any], base: str, summary: str, facts: Iterable[str], of: str) -> str:
    """The card in Markdown, with the hub's metadata on top.

    Args:
        record: Record of the encoder.
        base: The model that the encoder was made from, as the hub calls it.
        summary: How the encoder was made, in one paragraph.
        facts: Lines below the command that evaluates the encoder.
        of: What the record tells about, for the last line.
    """
    trained = "debiaser" not in record
    licence = record.get("facts", {}).get("license")
    lines = [
        "---",
        "library_name: hybridir-mteb",
        f"base_model: {base if _PLAIN.fullmatch(base) else json.dumps(base)}",
        "pipeline_tag: sentence-similarity",
        f"tags: [mteb, multilingual-retrieval{', sentence-transformers' if trained else ''}]",
        *([f"license: {json.dumps(licence)}"] if licence else []),
        f"language: [{', '.join(record['languages'])}]",
        "---",
        "",
        f"# {record['name']}",
        "",
        summary,
        "",
        "```bash",
        f"mteb run -m {record['name']} -t XQuADRMultilingualRetrieval",
        "```",
        "",
        *facts,
        f"Everything about {of} is in `{RECORD}`.",
    ]
    return "\n".join(printable(line, None) for line in lines) + "\n"
