"""The built-in training methods; what they need is imported when one of them is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hybridir_mteb.errors import DataUnavailableError
from hybridir_mteb.paths import with_home
from hybridir_mteb.plugins.hookspecs import Register, hookimpl
from hybridir_mteb.plugins.specs import MethodContext, TrainingMethod

if TYPE_CHECKING:
    from hybridir_mteb.training.codeswitch import CodeSwitch
    from hybridir_mteb.training.losses.terms import LossTerm

LAREQA = "Roy et al. 2020, LAReQA (EMNLP)"


def _chosen(context: MethodContext, *names: str) -> dict[str, Any]:
    return {name: context.options[name] for name in names}


def adversarial_terms(context: MethodContext) -> Sequence[LossTerm]:
    """The language discriminator behind gradient reversal."""
    from hybridir_mteb.training.losses.adversarial import AdversaryOptions, LanguageAdversary

    chosen = _chosen(context, "strength", "hidden", "steps", "queue_batches", "learning_rate")
    options, languages = AdversaryOptions(**chosen), len(context.languages)
    return [LanguageAdversary(context.dimension, languages, options, seed=context.seed)]


def erasure_terms(context: MethodContext) -> Sequence[LossTerm]:
    """The cross-covariance penalty."""
    from hybridir_mteb.training.losses.erasure import Erasure

    settings = _chosen(context, "weight", "queue_batches", "warm_up")
    return [Erasure(len(context.languages), **settings)]


def consistency_terms(context: MethodContext) -> Sequence[LossTerm]:
    """The divergence between a query's scores in two languages."""
    from hybridir_mteb.training.losses.consistency import Consistency

    temperature = float(context.options["temperature"])  # type: ignore[arg-type]
    settings = _chosen(context, "weight", "warm_up")
    return [Consistency(temperature or context.temperature, **settings)]


def code_switch(context: MethodContext) -> CodeSwitch:
    """Lexicons from MUSE files, or induced from the training data's own parallel passages."""
    from hybridir_mteb.training.codeswitch import CodeSwitch
    from hybridir_mteb.training.lexicon import induce, read_muse

    source = str(context.options["batch_language"])
    others = [code for code in context.languages if code != source]
    folder = str(context.options["lexicons"])
    if folder:
        files = {code: with_home(folder) / f"{source}-{code}.txt" for code in others}
        lexicons = {code: read_muse(path) for code, path in files.items() if path.is_file()}
        if not lexicons:
            names = ", ".join(path.name for path in files.values())
            raise DataUnavailableError(f"{folder}: holds no lexicon; looked for {names}")
    else:
        lexicons = {}
        items = [item.examples for data in context.sources for item in data.items]
        for code in others:
            both = [found for found in items if {source, code} <= found.keys()]
            left, right = ([found[c].passage for found in both] for c in (source, code))
            lexicons[code] = induce(left, right, target_language=code)
    return CodeSwitch(lexicons, source, float(context.options["probability"]))  # type: ignore[arg-type]


ADVERSARY = {"strength": 0.3, "hidden": 384, "steps": 3, "queue_batches": 12, "learning_rate": 1e-3}
METHODS = (
    TrainingMethod("base", "No training: the backbone as published.", ""),
    TrainingMethod("mono", "One language a batch (X-X-mono); InfoNCE.", LAREQA, "mono"),
    TrainingMethod("xx", "Monolingual pairs, languages mixed (X-X); InfoNCE.", LAREQA, "xx"),
    TrainingMethod(
        "cross", "Every pair draws two different languages (X-Y); InfoNCE.", LAREQA, "cross"
    ),
    TrainingMethod(
        "bilingual",
        "One ordered language pair a batch, what version 0.1 called cross; InfoNCE.",
        "a narrower reading of X-Y (LAReQA)",
        "bilingual",
    ),
    TrainingMethod(
        "mixed",
        "Every pair draws both languages on their own; InfoNCE.",
        "close to the mixed batches of arXiv 2404.08118 and 2405.00977",
        "mixed",
    ),
    TrainingMethod(
        "hybrid",
        "With probability alpha a mono batch, else a cross batch; InfoNCE.",
        "Elmahdy et al. 2024 (arXiv 2408.10536)",
        "hybrid",
    ),
    TrainingMethod(
        "adversarial",
        "Mono batches and unlabelled text; InfoNCE and a language discriminator behind gradient "
        "reversal.",
        "Ganin et al. 2016; MoDIR, Xin et al. 2022 (Findings of ACL)",
        "mono",
        ADVERSARY,
        unlabelled=True,
        terms=adversarial_terms,
    ),
    TrainingMethod(
        "codeswitch",
        "Mono batches of the source language, words replaced from lexicons; InfoNCE.",
        "Litschko et al. 2023 (arXiv 2305.05295)",
        "mono",
        {"batch_language": "en", "probability": 0.5, "lexicons": ""},
        transform=code_switch,
    ),
    TrainingMethod(
        "erasure",
        "Mono batches and unlabelled text; InfoNCE and a penalty on the cross-covariance of "
        "embeddings and languages.",
        "LANCER, Huang et al. 2024 (EMNLP)",
        "mono",
        {"weight": 10.0, "queue_batches": 8, "warm_up": 0.1},
        unlabelled=True,
        terms=erasure_terms,
    ),
    TrainingMethod(
        "hybrid-adversarial",
        "Hybrid batches and unlabelled text; InfoNCE and the discriminator of adversarial.",
        "ours: the batches of Elmahdy et al. 2024, the term of adversarial",
        "hybrid",
        ADVERSARY,
        unlabelled=True,
        terms=adversarial_terms,
    ),
    TrainingMethod(
        "consistency",
        "Hybrid batches; InfoNCE and the Jensen-Shannon divergence between a query's scores in two "
        "languages.",
        "ours, after Hong et al. 2026 (arXiv 2604.05684) and Jang et al. 2026 (arXiv 2605.31171)",
        "hybrid",
        {"weight": 4.0, "temperature": 0.0, "warm_up": 0.1},  # temperature 0: that of InfoNCE
        terms=consistency_terms,
        translated=True,
    ),
)


@hookimpl
def register_methods(register: Register) -> None:
    """Register the built-in training methods."""
    for method in METHODS:
        register(method)
