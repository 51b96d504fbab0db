"""Drafts of the pull requests that bring an encoder and its results to MTEB.

A tick stands only where the record or the run says so; what a person must confirm has none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mteb.models.model_meta import ModelMeta

from hybridir_mteb import __version__
from hybridir_mteb.encoders import trained
from hybridir_mteb.errors import HybridIRError
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.results.submission import results_in

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb.submission import Bundled

MADE = f"Drafted by `hybridir submit` of hybridir-mteb {__version__}."
MOCK_RUN = "mteb_mock_run_results.md"  # the name that ``mteb mock-run`` gives it
TICKS = "A tick stands where the record says so; all else a person has to confirm."
_VERDICT = {True: "yes", False: "no", None: "unknown"}


def results_request(found: Bundled) -> str:
    """The text of the request to the results repository."""
    counts = {folder: len(results_in(folder)) for folder in found.folders}
    known = "x" if found.upstream else " "
    lines = [
        "### Models Submitted",
        *(f"- **{found.name}** (revision: `{f.name}`): {n} results" for f, n in counts.items()),
        "",
        f"**Total Results:** {sum(counts.values())}",
        "",
        f"{MADE} {TICKS}",
        "",
        "### What the record says",
        "",
        *_record(found),
        "",
        "### Checklist",
        "- [ ] My model has a model sheet, report, or similar",
        f"- [{known}] My model has a reference implementation in "
        "`mteb/models/model_implementations/`",
        *(() if found.upstream else ("  - [ ] No, but there is an existing PR ___",)),
        "- [ ] The results submitted are obtained using the reference implementation",
        "- [ ] My model is available, either as a publicly accessible API or publicly on e.g., "
        "Huggingface",
        "- [ ] I *solemnly swear* that for all results submitted I have not trained on the "
        "evaluation dataset including training splits. If I have, I have disclosed it clearly.",
    ]
    return "\n".join(lines) + "\n"


def _record(found: Bundled) -> list[str]:
    """Training data, leak check and MTEB's verdict on each task."""
    meta = found.meta
    seen = None if meta is None else meta.training_datasets
    told = "unknown" if seen is None else ", ".join(sorted(seen)) or "none of MTEB's"
    lines = [f"- Trained on the data of these tasks, its backbone included: {told}"]
    encoder = _trained(found.name)
    if encoder is not None:
        check = encoder.record["leak_check"]
        compared = ", ".join(check.get("checked", ())) or "nothing"
        lines.append(f"- Its own training data were compared with: {compared}")
        if check.get("not_at_hand"):
            lines.append(f"- Not compared with: {', '.join(check['not_at_hand'])}")
        if check.get("leaked_sets"):
            lines.append(f"- Evaluation text among them: {', '.join(check['leaked_sets'])}")
    verdicts = [
        f"| {task} | {_VERDICT[None if meta is None else meta.is_zero_shot_on([task])]} |"
        for task in found.tasks
    ]
    return [*lines, "", "| task | zero-shot, as MTEB says it |", "| --- | --- |", *verdicts]


def model_file(meta: ModelMeta) -> str:
    """The module for ``mteb/models/model_implementations/``, with what has to be changed.

    Args:
        meta: The encoder's metadata; its loader is a plugin's, which MTEB does not have.
    """
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

    prompts = dict(_prompts(str(meta.name)))
    draft = meta.model_copy(
        update={
            "loader": SentenceTransformerEncoderWrapper,
            "loader_kwargs": {"model_prompts": prompts} if prompts else {},
        }
    )
    variable = re.sub(r"\W", "_", str(meta.name).rpartition("/")[2])
    code = draft.to_python()
    dtypes = ["from mteb.types import OutputDType"] if "OutputDType." in code else []
    lines = [
        "# Draft. Before it is sent, a person has to see to these:",
        "# - name and revision are those of public weights: a repository on the hub, its commit.",
        "#   `hybridir models push` uploads a trained encoder; results have to come from there.",
        "# - the loader gives the vectors that the results were made with. This one loads whole",
        "#   sentence-transformers models; adapters, embedded weights (pocket, muse, gemma3-270m)",
        "#   and debiased encoders need one of their own.",
        "from mteb.models.model_meta import ModelMeta, ScoringFunction",
        "from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper",
        *dtypes,
        "",
        f"{variable} = {code}",
    ]
    return "\n".join(lines) + "\n"


def _trained(name: str) -> trained.StoredEncoder | None:
    """The stored encoder of a name, if it is one."""
    try:
        return trained.find(name)
    except HybridIRError:
        return None


def _prompts(name: str) -> dict[str, str]:
    """What the encoder's backbone puts before texts; empty if it is none of ours."""
    encoder = _trained(name)
    backbones = installed_plugins().backbones
    named = name.rpartition("/")[2].rpartition("-")[0]
    backbone = named if encoder is None else encoder.record["backbone"]["name"]
    return dict(backbones[backbone].prompts) if backbone in backbones else {}


def model_request(found: Bundled, tested: str) -> str:
    """The text of the request that brings the model.

    Args:
        found: The encoder and its results.
        tested: What MTEB's mock tasks gave, in Markdown; empty if they were not run.
    """
    empty = (
        [name for name in ModelMeta.model_fields if getattr(found.meta, name) is None]
        if found.meta is not None
        else ["all: ModelMeta.from_hub(NAME).to_python() makes a draft"]
    )
    passed = bool(tested) and "| ✗" not in tested
    said = MOCK_RUN if tested else "run: mteb mock-run -m " + found.name
    lines = [
        f"Adds `{found.name}`. {MADE} {TICKS}",
        "",
        *_record(found),
        "",
        "- [ ] I have filled out the ModelMeta object to the extent possible"
        f" (empty: {', '.join(empty) or 'nothing'})",
        "- [ ] I have ensured that my model can be loaded using",
        "  - [ ] `mteb.get_model(model_name, revision)` and",
        "  - [ ] `mteb.get_model_meta(model_name, revision)`",
        f"- [{'x' if passed else ' '}] I have tested the implementation works on a representative "
        f"set of tasks ({said}; here, by the plugin's loader)",
        "- [ ] The model is public, i.e., is available either as an API or the weights are "
        "publicly available to download",
        "- [ ] I reproduced results from the original paper (if applicable) on at least one "
        "benchmark, and I am including the results in the PR description.",
    ]
    return "\n".join(lines) + "\n"
