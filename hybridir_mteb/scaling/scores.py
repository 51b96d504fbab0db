"""Published and own scores, one cell for each model, revision, task, split and subset."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hybridir_mteb.errors import DataFormatError, quoted
from hybridir_mteb.files.numbers import written_number

COLUMNS = ("model", "revision", "task", "split", "subset", "ndcg_at_10", "mrr_at_10")
MEASURES = {"ndcg_at_10": "nDCG@10", "mrr_at_10": "MRR@10"}


@dataclass(frozen=True, slots=True)
class Cell:
    """The scores of one subset.

    Attributes:
        model: Name, as MTEB's registry writes it.
        revision: Commit of the model, or whatever its folder is called.
        task: Name of an MTEB task.
        split: Part of the task's data that was scored.
        subset: Language, language pair, or ``default``.
        ndcg_at_10: From 0 to 1.
        mrr_at_10: From 0 to 1; None where the result has none.
    """

    model: str
    revision: str
    task: str
    split: str
    subset: str
    ndcg_at_10: float
    mrr_at_10: float | None

    def value(self, measure: str) -> float | None:
        """One of ``MEASURES``."""
        return self.ndcg_at_10 if measure == "ndcg_at_10" else self.mrr_at_10


@dataclass(frozen=True)
class Facts:
    """What MTEB's registry says of a model.

    Attributes:
        parameters: Their number; None where the maker keeps it.
        embedding_parameters: Those of the table of tokens.
        active_parameters: Those that a text passes through, where a model is a mixture of experts.
        released: Date, as ``2026-03-09``.
        trained_on: Names of the MTEB tasks whose data it has seen, those of models that it was made
            from and of similar tasks included; None where the maker does not say.
        open_weights: Whether they can be had.
        revision: The one that the registry names.
        kind: ``dense``, or ``late-interaction``, ``sparse``, ….
    """

    parameters: int | None = None
    embedding_parameters: int | None = None
    active_parameters: int | None = None
    released: str | None = None
    trained_on: frozenset[str] | None = None
    open_weights: bool | None = None
    revision: str | None = None
    kind: str = "dense"


class Size(StrEnum):
    """Which parameters are counted."""

    TOTAL = "total"
    ACTIVE = "active"

    def of(self, facts: Facts) -> int | None:
        """The number of a model's parameters; None where nobody says."""
        if self is Size.TOTAL or facts.parameters is None:
            return facts.parameters
        return facts.active_parameters or facts.parameters - (facts.embedding_parameters or 0)


@dataclass(frozen=True)
class Scores:
    """A table of cells, and what is known of its models.

    Attributes:
        cells: In any order.
        facts: Name of a model -> what is known of it.
        origins: Where they come from, in words.
        own: Models that were run here, which pictures name.
    """

    cells: tuple[Cell, ...]
    facts: Mapping[str, Facts] = field(default_factory=dict)
    origins: tuple[str, ...] = ()
    own: frozenset[str] = frozenset()

    def __add__(self, other: Scores) -> Scores:
        """Both; where two cells are of the same subset and revision, the other's."""
        cells = {_key(cell): cell for cell in (*self.cells, *other.cells)}
        facts = {**self.facts, **other.facts}
        origins = self.origins + other.origins
        return Scores(tuple(cells.values()), facts, origins, self.own | other.own)


def _key(cell: Cell) -> tuple[str, ...]:
    return cell.model, cell.revision, cell.task, cell.split, cell.subset


def read_csv(text: str, where: str) -> tuple[Cell, ...]:
    """Cells of a CSV file with the heads ``COLUMNS``, in any order, and perhaps others.

    Raises:
        DataFormatError: A head is missing, or a line lacks a cell or has a score that is none.
    """
    lines = csv.reader(io.StringIO(text, newline=""))
    heads = next(lines, [])
    missing = [name for name in COLUMNS if name not in heads]
    if missing:
        raise DataFormatError(
            f"{where}:1: no column {', '.join(missing)}; the first line names them"
        )
    at = [heads.index(name) for name in COLUMNS]
    cells = []
    for line in lines:
        if len(line) != len(heads):
            raise DataFormatError(
                f"{where}:{lines.line_num}: {len(line)} cells where the first line has {len(heads)}"
            )
        model, revision, task, split, subset, *texts = (line[column] for column in at)
        ndcg, mrr = map(written_number, texts)
        if ndcg is None or (mrr is None and texts[1]):
            what = quoted(texts[ndcg is not None], 80)
            raise DataFormatError(f"{where}:{lines.line_num}: {what} is no score; mend the line")
        cells.append(Cell(model, revision, task, split, subset, ndcg, mrr))
    return tuple(cells)


def csv_of(cells: Iterable[Cell]) -> str:
    """Cells as CSV, with five digits after the point, as :func:`read_csv` reads them."""
    out = io.StringIO(newline="")
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(COLUMNS)
    for cell in cells:
        values = (cell.ndcg_at_10, cell.mrr_at_10)
        lines.writerow([*_key(cell), *("" if v is None else f"{v:.5f}" for v in values)])
    return out.getvalue()
