"""Research code: training runs to compare; what is in the store already is not trained again.

A core trains one encoder: side by side that is faster than one encoder on all cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hybridir_mteb import paths
from hybridir_mteb.encoders import trained
from hybridir_mteb.training.held_out import split_documents
from hybridir_mteb.training.plan import content_hash, read_source
from hybridir_mteb.training.recipe import Recipe, read_recipe

_DIGESTS: dict[str, list[str]] = {}


@dataclass(frozen=True)
class Run:
    """What ``hybridir train`` is told.

    Attributes:
        recipe: Name of one of the package's recipes.
        method: Name of the method.
        seed: Seed of the run.
        options: Options of the method.
        settings: Of the recipe, by their names there, such as ``learning_rate``.
    """

    recipe: str
    method: str
    seed: int = 0
    options: tuple[tuple[str, str], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """A name for logs."""
        options = "".join(f" {name}={value}" for name, value in (*self.options, *self.settings))
        return f"{self.recipe} {self.method}{options}, seed {self.seed}"

    @cached_property
    def wanted(self) -> Recipe:
        """The recipe with what it is told."""
        options = {
            name: tuple(value.split(",")) if "," in value else float(value)
            for name, value in self.options
        }
        changes: dict[str, Any] = dict(self.settings)
        if options:
            changes["method_options"] = options
        return read_recipe(Path(self.recipe), method=self.method, seed=self.seed, **changes)

    @property
    def command(self) -> list[str]:
        """The command."""
        words = [
            "hybridir",
            "train",
            self.recipe,
            "--method",
            self.method,
            "--seed",
            str(self.seed),
        ]
        words += [w for name, value in self.options for w in ("--option", f"{name}={value}")]
        flags = ((f"--{name.replace('_', '-')}", value) for name, value in self.settings)
        return words + [word for flag in flags for word in flag]

    def stored(self) -> trained.StoredEncoder | None:
        """The stored encoder of exactly this recipe and data."""
        wanted = self.wanted.model_dump(mode="json")
        for encoder in trained.encoders():
            if encoder.place != "store" or encoder.record["recipe"] != wanted:
                continue
            if [row["sha256"] for row in encoder.record["data"]] == data_of(self.wanted):
                return encoder
        return None

    def found(self) -> trained.StoredEncoder:
        """The stored encoder of this recipe and data, which has been trained."""
        encoder = self.stored()
        if encoder is None:
            sys.exit(f"{self}: trained, but not found in the store")
        return encoder

    def train(self) -> None:
        """Train on one core, unless the store has the encoder; the log goes to a file."""
        if self.stored() is not None:
            return
        name = "".join(c if c.isalnum() or c in "-.=" else "-" for c in str(self))
        log = paths.model_store_dir() / ".logs" / f"{name}.txt"
        log.parent.mkdir(parents=True, exist_ok=True)
        print(f"{self}: tail -f {log}", flush=True)
        with log.open("w") as stream:
            subprocess.run(
                [Path(sys.executable).parent / self.command[0], *self.command[1:]],
                check=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=stream,
                stderr=stream,
            )


def data_of(recipe: Recipe) -> list[str]:
    """Digests of the training parts of a recipe's data."""
    asked = recipe.model_dump_json(include={"data", "languages", "held_out_every"})
    if asked not in _DIGESTS:
        sources = [read_source(data, recipe.languages) for data in recipe.data]
        parts, _ = split_documents(sources, recipe.held_out_every)
        _DIGESTS[asked] = [content_hash(part) for part in parts]
    return _DIGESTS[asked]


def train_all(runs: Iterable[Run]) -> dict[Run, trained.StoredEncoder]:
    """Train what is missing, as many at a time as there are cores; those that end early stay."""
    runs = list(runs)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(Run.train, runs))
    return {run: run.found() for run in runs}


def judged_run(run: Run, encoder: trained.StoredEncoder) -> dict[str, Any]:
    """How an encoder was made, what held-out text says of it, and how long it took."""
    return {
        "command": " ".join(run.command),
        "held_out": encoder.record["selection"]["encoder"],
        "seconds": encoder.record["machine"]["seconds"],
    }


def median_seed(held_out: Sequence[Mapping[str, Any]]) -> int:
    """The seed whose criterion on held-out documents is the median one; of two, the better.

    Args:
        held_out: Scores of each seed, in order.
    """
    order = sorted(range(len(held_out)), key=lambda seed: float(held_out[seed]["criterion"]))
    return order[len(order) // 2]
