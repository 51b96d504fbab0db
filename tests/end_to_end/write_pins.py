"""Makes the pinned runs and writes the pins anew: ``python tests/end_to_end/write_pins.py``.

Only after a change of behaviour that is wanted: the difference of ``pins/`` shows users what they
will see. ``HYBRIDIR_DATA_DIR`` must name a folder with MIRACL's topics and qrels. All groups are
written unless some are named as arguments.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
from end_to_end.pin_compare import PINS
from end_to_end.pin_runs import GROUPS, Runs

WIDE = 110


def pretty(value: Any, indent: int = 0) -> str:
    """JSON with short values on one line, for small files with readable differences."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + indent <= WIDE or not isinstance(value, dict | list) or not value:
        return line
    inner = "\n" + " " * (indent + 1)
    if isinstance(value, dict):
        rows = [
            f"{json.dumps(k, ensure_ascii=False)}: {pretty(v, indent + 1)}"
            for k, v in value.items()
        ]
        opening, closing = "{}"
    else:
        rows, (opening, closing) = [pretty(item, indent + 1) for item in value], "[]"
    return opening + inner + ("," + inner).join(rows) + "\n" + " " * indent + closing


def main() -> None:
    """Write what is asked for."""
    chosen = sys.argv[1:] or [*GROUPS]
    PINS.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        runs = Runs(Path(folder), Path(os.environ["HYBRIDIR_DATA_DIR"]))
        (PINS / "probe.txt").write_text(runs.probe() + "\n")
        for name in chosen:
            found = GROUPS[name](runs)
            (PINS / f"{name}.json").write_text(pretty(found) + "\n", encoding="utf-8")
            print(name, "written", flush=True)
            if name == "toys":
                shutil.rmtree(PINS / "cache", ignore_errors=True)
                for part in ("embeddings", "shards"):
                    shutil.copytree(runs.folder / "cache-hash" / part, PINS / "cache" / part)


if __name__ == "__main__":
    main()
