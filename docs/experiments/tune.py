"""Experiment: hyperparameters of hybrid batches and of adversarial training, with equal effort.

python docs/experiments/tune.py [--recipes] [BACKBONE …]

Both methods get the same number of trials on a backbone: learning rates crossed with the values of
the one option that is each method's own, and where the best is at an edge of these, what lies
beyond it. Held-out questions of the training data judge them, and nothing else. ``--recipes``
writes what was chosen into the recipes; a test compares them.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from provenance import RESULTS, provenance
from side_by_side import named, put_part
from training_runs import Run, judged_run, train_all

import hybridir_mteb
from hybridir_mteb.files import write_text

OUTPUT = RESULTS / "tuned.json"
COMMAND = "make tune"
OPTIONS = {"hybrid": "alpha", "adversarial": "strength"}
Grid = tuple[tuple[str, ...], tuple[str, ...]]  # learning rates, and values of the option
ALPHAS, STRENGTHS = ("0.25", "0.5", "0.75"), ("0.1", "0.3", "1.0")
# Backbone -> method -> grids. A step of the large ones is dear.
GRIDS: dict[str, dict[str, tuple[Grid, ...]]] = {
    "muse": {
        "hybrid": ((("7.5e-5", "1.5e-4", "3e-4", "6e-4", "1.2e-3"), ALPHAS),),
        "adversarial": (
            (("1.5e-4", "3e-4", "6e-4"), STRENGTHS),
            (("7.5e-5",), ("0.03", "0.1", "0.3")),
            (("1.5e-4", "3e-4", "6e-4"), ("0.03",)),
        ),
    },
    "pocket": {
        "hybrid": ((("2e-4", "4e-4", "8e-4"), ALPHAS),),
        "adversarial": ((("2e-4", "4e-4", "8e-4"), STRENGTHS),),
    },
    "gemma3-270m": {
        "hybrid": ((("3e-4", "1e-3", "3e-3"), ("0.25", "0.5")),),
        "adversarial": ((("3e-4", "1e-3", "3e-3"), ("0.1", "0.3")),),
    },
}
RECIPES = Path(hybridir_mteb.__file__).parent / "recipes"
CHOSEN_BY = "  # chosen on held-out documents: make tune"


def trials(backbone: str) -> dict[str, list[Run]]:
    """Method -> its runs, equally many of each."""
    return {
        method: [
            Run(backbone, method, 0, ((OPTIONS[method], value),), (("learning_rate", rate),))
            for grid in grids
            for rate, value in product(*grid)
        ]
        for method, grids in GRIDS[backbone].items()
    }


def judged(runs: Mapping[str, list[Run]]) -> dict[str, list[dict[str, Any]]]:
    """Method -> its trials, trained where they are missing, and what held-out text says of them."""
    encoders = train_all(run for of_method in runs.values() for run in of_method)
    return {
        method: [{**values_of(run), **judged_run(run, encoders[run])} for run in of_method]
        for method, of_method in runs.items()
    }


def values_of(run: Run) -> dict[str, float]:
    """What a trial tries."""
    return {name: float(value) for name, value in (*run.options, *run.settings)}


def write_recipes(backbone: str, methods: Mapping[str, Any]) -> None:
    """Put what was chosen into the recipes of a backbone.

    Methods that were not tuned have the learning rate of ``hybrid``.
    """
    chosen = {method: found["chosen"] for method, found in methods.items()}
    options = {method: f"{name}: {chosen[method][name]:g}" for method, name in OPTIONS.items()}
    rate = chosen["hybrid"]["learning_rate"]
    _set(backbone, "learning_rate", f"{rate:.1e}{CHOSEN_BY}")
    for method, option in options.items():
        _set(f"{backbone}-{method}", "method_options", f"{{{option}}}")
    own = chosen["adversarial"]["learning_rate"]
    _set(f"{backbone}-adversarial", "learning_rate", f"{own:.1e}{CHOSEN_BY}")
    _set(f"{backbone}-hybrid-adversarial", "method_options", f"{{{', '.join(options.values())}}}")


def _set(recipe: str, setting: str, value: str) -> None:
    """A line of a recipe, put in the place of the one that is there or at the end."""
    path = RECIPES / f"{recipe}.yaml"
    text, line = path.read_text(), f"{setting}: {value}\n"
    changed, found = re.subn(rf"^{setting}:.*\n", lambda _: line, text, flags=re.MULTILINE)
    write_text(path, changed if found else text + line)


def main() -> None:
    """Train, judge, write; backbones that are done on another day stay."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("backbones", nargs="*", metavar="BACKBONE", help=" ".join(GRIDS))
    parser.add_argument("--recipes", action="store_true", help="write what is chosen into recipes")
    asked = parser.parse_args()
    for backbone in named(asked.backbones, tuple(GRIDS)):
        made_by = provenance(COMMAND)
        methods = {
            method: {"chosen": chosen_of(method, tried), "trials": tried}
            for method, tried in judged(trials(backbone)).items()
        }
        put_part(OUTPUT, backbone, {"made_by": made_by, "methods": methods})
        print(OUTPUT)
        if asked.recipes:
            write_recipes(backbone, methods)


def chosen_of(method: str, tried: list[dict[str, Any]]) -> dict[str, float]:
    """What the trial tries that held-out text likes best."""
    best = max(tried, key=lambda trial: float(trial["held_out"]["criterion"]))
    return {name: best[name] for name in (OPTIONS[method], "learning_rate")}


if __name__ == "__main__":
    main()
