"""Renew the tables of the README from ``docs/results``: ``python docs/readme.py``."""

from __future__ import annotations

import re
from pathlib import Path

from markers.results import result_table

README = Path(__file__).parent.parent / "README.md"
TABLE = re.compile(r"(<!-- table:([\w -]+?) -->)\n.*?(<!-- /table -->)", re.DOTALL)


def fill_tables(markdown: str) -> str:
    """A text whose tables between ``<!-- table:NAME -->`` and ``<!-- /table -->`` are renewed."""
    return TABLE.sub(lambda at: f"{at[1]}\n{result_table(*at[2].split())}\n{at[3]}", markdown)


if __name__ == "__main__":
    README.write_text(fill_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
