"""Research code: turn result folders of ``mteb run`` into ``docs/results/<name>.json``.

python docs/experiments/collect_results.py FOLDER "COMMAND" PocketQAR:pocketqa-r[:ENCODER] …
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from provenance import RESULTS, provenance

from hybridir_mteb.files import write_text
from hybridir_mteb.measures.effectiveness import EFFECTIVENESS
from hybridir_mteb.measures.language_bias import LANGUAGE_BIAS
from hybridir_mteb.results.tables import ResultRow, summarise

ENCODER = "hybridir/pocket-base"
KEPT = tuple(measure.name for measure in (*EFFECTIVENESS, *LANGUAGE_BIAS))


def collect(row: ResultRow, command: str) -> dict[str, Any]:
    """Means of each setting, and the scores of every subset."""
    return {
        "made_by": provenance(command),
        "collection": row.collection,
        "encoder": row.encoder,
        "settings": {
            setting: {
                "subsets": row.subsets[setting],
                **{key: round(means[key], 6) for key in KEPT if key in means},
            }
            for setting, means in row.means.items()
        },
        "scores": {
            setting: {
                score["hf_subset"]: {key: score[key] for key in KEPT if key in score}
                for score in sorted(scores, key=lambda score: score["hf_subset"])
            }
            for setting, scores in row.scores.items()
        },
    }


def main() -> None:
    """Parse the command line and write one file for each collection."""
    folder, command, *targets = sys.argv[1:]
    for target in targets:
        collection, name, *rest = target.split(":")
        encoder = rest[0] if rest else ENCODER
        rows = [row for row in summarise(Path(folder), collection) if row.encoder == encoder]
        if len(rows) != 1:
            sys.exit(f"{folder}: {len(rows)} result folders of {encoder} on {collection}, need one")
        (row,) = rows
        path = RESULTS / f"{name}.json"
        write_text(path, json.dumps(collect(row, command), indent=1) + "\n")
        print(path)


if __name__ == "__main__":
    main()
