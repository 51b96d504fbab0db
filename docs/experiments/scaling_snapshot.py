"""Research code: the packaged snapshot of MTEB's public scores, from ``HYBRIDIR_DATA_DIR``.

The folder ``mteb-results`` has ``retrieval.csv.gz`` and ``belebele.csv.gz``: the public results at
the commit below, reduced to a few columns. Facts of models are those of the mteb that is installed.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

from hybridir_mteb.adapters.mteb.published import registered_facts
from hybridir_mteb.files.reading import decoded, read_bytes
from hybridir_mteb.scaling.scores import Cell, Scores, read_csv
from hybridir_mteb.scaling.settings import TASKS
from hybridir_mteb.scaling.snapshot import FOLDER, SCORES, write_snapshot

FILES = ("retrieval.csv.gz", "belebele.csv.gz")
# Tasks that nothing is made of, but that tell of broken runs of the others.
WITNESSES = ("XQuADRetrieval", "MIRACLRetrievalHardNegatives.v2")
WITNESSES += tuple(f"{name}HardNegatives" for name in ("ClimateFEVER", "FEVER", "HotpotQA"))
ABOUT = {
    "source": "github.com/embeddings-benchmark/results",
    "commit": "f4cc6c8b365a3c779dbc708d6affe0b0355b2ddf",
    "date": "2026-08-20",
    "licence": "CC0-1.0",
}
LIMIT = 3_000_000  # bytes


def main() -> None:
    """Write the snapshot."""
    folder = Path(os.environ["HYBRIDIR_DATA_DIR"]) / "mteb-results"
    cells: list[Cell] = []
    for name in FILES:
        path = folder / name
        cells += read_csv(decoded(read_bytes(path), str(path)), str(path))
    kept = tuple(
        Cell(
            cell.model.replace("__", "/", 1),
            *(cell.revision, cell.task, cell.split, cell.subset),
            *(cell.ndcg_at_10, cell.mrr_at_10),
        )
        for cell in cells
        if cell.task in {*TASKS, *WITNESSES}
    )
    facts = registered_facts({cell.model for cell in kept})
    write_snapshot(Scores(kept, facts), {**ABOUT, "mteb": version("mteb")})
    size = sum(path.stat().st_size for path in FOLDER.iterdir())
    assert size < LIMIT, f"{size} bytes are too many"
    print(f"{FOLDER / SCORES}: {len(kept)} cells of {len(facts)} models; {size} bytes in all")


if __name__ == "__main__":
    main()
