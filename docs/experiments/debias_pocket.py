"""Experiment: every debiaser for encoders of the package, scored on held-out documents.

make debias-pocket, which hides the user's own store: the package's encoders are debiased.

Statistics are those of ``hybridir debias fit`` with its defaults, in bf16; they go into the
package. Those of ``shift`` with a chosen ``alpha`` go into the cache. Held-out documents are the
ones that chose the pocket encoders; here they choose nothing, and say what other numbers of
components of ``lir`` would have given.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from provenance import RESULTS, provenance

from hybridir_mteb import paths
from hybridir_mteb.encoders import trained
from hybridir_mteb.files import write_text

COMMAND = "make debias-pocket"
PACKAGED = ("centre", "lir", "shift", "leace")
CHOSEN = "shift-auto"  # alpha is chosen on held-out lines
DEBIASERS = (*PACKAGED, CHOSEN)
# Statistics of the others are a command away, and would make the package larger.
METHODS = ("base", "mono", "cross", "hybrid", "mixed", "adversarial")
ENCODERS = tuple(f"pocket-{method}" for method in METHODS)
COMPONENTS = (1, 2, 3, 5, 8)  # of lir, on held-out documents
Debias = Callable[[np.ndarray, str, str], np.ndarray]


def fit(model: str, folder: str, *arguments: str) -> list[Path]:
    """The folders of the debiased encoders that one command puts into a store of its own."""
    command = [Path(sys.executable).parent / "hybridir", "debias", "fit", *arguments]
    command += ["--model", f"{trained.OWNER}/{model}", "--precision", "bf16"]
    subprocess.run(command, check=True, env={**os.environ, "HYBRIDIR_MODEL_STORE": folder})
    return sorted(path.parent for path in Path(folder).glob(f"*/*/{trained.RECORD}"))


def fit_all(model: str) -> None:
    """Fit every debiaser for one encoder, and copy the results into the package."""
    methods = [argument for method in PACKAGED for argument in ("--method", method)]
    with tempfile.TemporaryDirectory() as folder:
        for path in fit(model, folder, *methods):
            target = trained.PACKAGED / trained.read_encoder(path).name.partition("/")[2]
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(path, target)


def statistics(model: str, debiaser: str) -> Path:
    """The folder of a debiased encoder: in the package, or fitted and kept in the cache."""
    if debiaser != CHOSEN:
        return trained.PACKAGED / f"{model}+{debiaser}"
    whole = trained.read_encoder(trained.PACKAGED / f"{model}+shift")  # of the same text and base
    store = paths.cache_dir() / "chosen-alpha" / whole.fingerprint
    kept = sorted(path.parent for path in store.glob(f"*/*/{trained.RECORD}"))
    (path,) = kept or fit(model, str(store), "--method", "shift", "--option", "alpha=auto")
    return path


class HeldOutScorer:
    """Scores of one encoder on the held-out documents, debiased in any way."""

    def __init__(self, model: str, held_out: Any) -> None:
        import mteb

        from hybridir_mteb.adapters.mteb.encoder import EncodeCall, of_mteb

        model_object = mteb.get_model(f"{trained.OWNER}/{model}", precision="bf16", device="cpu")
        call = EncodeCall(mteb.get_task("XQuADRMultilingualRetrieval").metadata, "", "", {})
        encoder = of_mteb(model_object, call)

        def vectors(texts: list[str], role: str) -> np.ndarray:
            return encoder.embed(texts, role).matrix

        self._held_out = held_out
        codes = held_out.languages
        self.queries = {code: vectors(held_out.queries(code), "query") for code in codes}
        self.passages = {code: vectors(held_out.passages(code), "document") for code in codes}

    def score(self, debias: Debias) -> dict[str, Any]:
        """Scores with embeddings changed by ``debias(vectors, language, role)``."""
        return self._held_out.score(
            {code: debias(found, code, "query") for code, found in self.queries.items()},
            {code: debias(found, code, "document") for code, found in self.passages.items()},
        ).as_dict()


def score_all(model: str, held_out: Any) -> dict[str, Any]:
    """Held-out scores of one encoder as it is and with every debiaser."""
    from hybridir_mteb.debias.sentence_transformer import load_debiaser

    scorer = HeldOutScorer(model, held_out)
    found = {"none": scorer.score(lambda vectors, code, role: vectors)}
    for method in DEBIASERS:
        found[method] = scorer.score(load_debiaser(statistics(model, method)))
    return found


def score_components(model: str, held_out: Any) -> dict[str, Any]:
    """Held-out scores of lir with other numbers of components."""
    from hybridir_mteb.debias.sentence_transformer import load_debiaser

    scorer, found = HeldOutScorer(model, held_out), {}
    for k in COMPONENTS:
        with tempfile.TemporaryDirectory() as folder:
            (path,) = fit(model, folder, "--method", "lir", "--option", f"k={k}")
            found[str(k)] = scorer.score(load_debiaser(path))
    return found


def main() -> None:
    """Fit, copy, score, write the result file."""
    from hybridir_mteb.training.held_out import HeldOut
    from hybridir_mteb.training.plan import make_plan
    from hybridir_mteb.training.recipe import read_recipe

    made_by = provenance(COMMAND)  # before the package changes
    plan = make_plan(read_recipe(Path("pocket-mixed")))
    recipe = plan.recipe
    held_out = HeldOut(plan.held_out, recipe.held_out_items, recipe.held_out_pool)
    for model in ENCODERS:
        fit_all(model)
    record = trained.read_encoder(trained.PACKAGED / f"{ENCODERS[0]}+centre").record
    result = {
        "made_by": made_by,
        "precision": "bf16",
        "debiaser": record["debiaser"],
        "alpha": {
            model: trained.read_encoder(statistics(model, CHOSEN)).record["debiaser"]["choice"]
            for model in ENCODERS
        },
        "held_out": {model: score_all(model, held_out) for model in ENCODERS},
        "lir_components": score_components(ENCODERS[0], held_out),
    }
    write_text(RESULTS / "debias-pocket.json", json.dumps(result, indent=1) + "\n")
    print(RESULTS / "debias-pocket.json")


if __name__ == "__main__":
    main()
