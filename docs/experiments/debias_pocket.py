"""Experiment: every debiaser for encoders of the package, scored on held-out documents.

make debias-pocket, which hides the user's own store: the package's encoders are debiased.

Statistics are those of ``hybridir debias fit`` with its defaults, in bf16; they go into the
package, and stay there as long as their encoder does. The held-out documents are the ones of the
encoders' training; here they choose nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from provenance import RESULTS, provenance
from shipping import ship

from hybridir_mteb.encoders import trained
from hybridir_mteb.files import write_text

COMMAND = "make debias-pocket"
DEBIASERS = ("centre", "lir", "shift", "leace")
# Statistics of the others are a command away, and would make the package larger.
METHODS = ("base", "mono", "cross", "hybrid", "mixed", "adversarial")
ENCODERS = tuple(f"pocket-{method}" for method in METHODS)
Debias = Callable[[np.ndarray, str, str], np.ndarray]


def statistics(model: str, debiaser: str) -> Path:
    """The folder of a debiased encoder in the package."""
    return trained.PACKAGED / f"{model}+{debiaser}"


def missing(model: str) -> list[str]:
    """Debiasers whose statistics are not there, or are of another encoder of this name."""
    import mteb

    revision = mteb.get_model_meta(f"{trained.OWNER}/{model}").revision

    def there(folder: Path) -> bool:
        if not folder.is_dir():
            return False
        of: str = trained.read_encoder(folder).record["backbone"]["model_revision"]
        return of == revision

    return [name for name in DEBIASERS if not there(statistics(model, name))]


def fit(model: str) -> None:
    """Fit what is missing for one encoder, and copy it into the package."""
    asked = [word for debiaser in missing(model) for word in ("--method", debiaser)]
    if not asked:
        return
    command = [Path(sys.executable).parent / "hybridir", "debias", "fit", *asked]
    command += ["--model", f"{trained.OWNER}/{model}", "--precision", "bf16"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(command, check=True, env={**os.environ, "HYBRIDIR_MODEL_STORE": folder})
        for record in sorted(Path(folder).glob(f"*/*/{trained.RECORD}")):
            ship(record.parent)


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
    for debiaser in DEBIASERS:
        found[debiaser] = scorer.score(load_debiaser(statistics(model, debiaser)))
    return found


def main() -> None:
    """Fit, copy, score, write the result file."""
    from hybridir_mteb.training.held_out import HeldOut
    from hybridir_mteb.training.plan import make_plan
    from hybridir_mteb.training.recipe import read_recipe

    made_by = provenance(COMMAND)  # before the package changes
    plan = make_plan(read_recipe(Path("pocket-hybrid")))
    recipe = plan.recipe
    held_out = HeldOut(plan.held_out, recipe.held_out_items, recipe.held_out_pool)
    for model in ENCODERS:
        fit(model)
    result = {
        "made_by": made_by,
        "precision": "bf16",
        "debiaser": trained.read_encoder(statistics(ENCODERS[0], "centre")).record["debiaser"],
        "held_out": {model: score_all(model, held_out) for model in ENCODERS},
    }
    write_text(RESULTS / "debias-pocket.json", json.dumps(result, indent=1) + "\n")
    print(RESULTS / "debias-pocket.json")


if __name__ == "__main__":
    main()
