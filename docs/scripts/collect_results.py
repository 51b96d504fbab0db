"""Turn result folders of ``mteb run`` into ``docs/results/<collection>.json``.

python docs/scripts/collect_results.py FOLDER "COMMAND" PocketQAR:pocketqa-r …
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from provenance import RESULTS, provenance

from hybridir_mteb.files import write_text
from hybridir_mteb.report import ResultRow, summarise

MEASURES = ("map", "mrr", "mrr_at_10", "ndcg_at_10", "recall_at_1", "recall_at_100")
BIAS = ("rank_distance", "rank_distance_norm")


def collect(row: ResultRow, command: str) -> dict[str, Any]:
    """Means of each setting, and the scores of every subset."""
    kept = (*MEASURES, *BIAS)
    return {
        "made_by": provenance(command),
        "collection": row.collection,
        "encoder": row.encoder,
        "settings": {
            setting: {
                "subsets": row.subsets[setting],
                **{key: round(means[key], 6) for key in kept if key in means},
            }
            for setting, means in row.means.items()
        },
        "scores": {
            setting: {
                score["hf_subset"]: {key: score[key] for key in kept if key in score}
                for score in sorted(scores, key=lambda score: score["hf_subset"])
            }
            for setting, scores in row.scores.items()
        },
    }


def main() -> None:
    """Parse the command line and write one file for each collection."""
    folder, command, *targets = sys.argv[1:]
    for target in targets:
        collection, name = target.split(":")
        (row,) = summarise(Path(folder), collection)
        path = RESULTS / f"{name}.json"
        write_text(path, json.dumps(collect(row, command), indent=1) + "\n")
        print(path)


if __name__ == "__main__":
    main()
