"""A grid of evaluations on a cluster: each cell is a task of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hybridir_mteb.adapters.ray.workers import Crew

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb.grid import Cell, Grid, Outcome


def evaluate_by(crew: Crew, grid: Grid, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Outcome]]:
    """Evaluate cells on all workers.

    A cell whose worker is lost is done again by another; one that keeps losing them has failed, and
    the others go on.

    Args:
        crew: The workers of a connected cluster.
        grid: How; its folder must be the same for all machines.
        cells: The cells.

    Yields:
        Each cell with what became of it, in the order in which they end.

    Raises:
        ClusterError: No worker can be started.
    """
    from hybridir_mteb.adapters.mteb.grid import Outcome

    for cell, found in crew.run(grid, cells, lambda said: Outcome(error=said)):
        if found.file is not None and not found.file.is_file():
            elsewhere = (
                f"a worker has written {found.file}, and it is not there: the folder of results "
                "(--output-folder) must be the same for all machines"
            )
            yield cell, replace(found, score=None, error=elsewhere)
        else:
            yield cell, found
