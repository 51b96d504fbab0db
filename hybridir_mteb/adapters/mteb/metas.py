"""Trained encoders as MTEB models: those in the store and in the package, and those still to come.

Every combination of backbone and method has a name in MTEB's registry. One that is not on this
machine is looked for on the hub when it is loaded, and else says how to train it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hybridir_mteb.adapters.mteb.debiased import debiased_metas
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.trained import NOT_HERE
from hybridir_mteb.encoders.trained_record import ALLOWED, check_record, skipping
from hybridir_mteb.errors import DataUnavailableError, one_line
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.plugins.specs import Backbone, TrainingMethod

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta

    from hybridir_mteb.adapters.mteb.encoder import SentenceEncoder

BYTES_PER_PARAMETER = 4
# MTEB's own tasks on the text of an evaluation set.
ADAPTED = {
    "XQuADR": ("XQuADRetrieval",),
    "MLQAR": ("MLQARetrieval",),
    "MIRACL topics": ("MIRACLRetrieval",),
}
TRAINING_CODE = "https://pypi.org/project/hybridir-mteb/"
# MTEB tasks on the same data as a source of training data, by a word in its origin.
TASKS_OF_ORIGIN = {
    "NTREX": {"NTREXBitextMining"},
    "mmarco": {"MSMARCO"},
    "msmarco": {"MSMARCO"},
}


def load_encoder(
    model_name: str,
    revision: str | None = None,
    device: str | int | None = None,
    precision: str = "fp32",
    token_budget: int | None = None,
    **kwargs: Any,
) -> SentenceEncoder:
    """Loader of every trained encoder: from the store, else the package, else the hub.

    Args:
        model_name: ``hybridir/<backbone>-<method>``.
        revision: Fingerprint of the weights, or its first characters.
        device: Torch device, or MTEB's device number.
        precision: ``fp32`` or ``bf16``; MTEB keeps the results of each apart.
        token_budget: Largest batch in tokens, padding included.
        **kwargs: Refused: an argument that nobody reads would change where results are stored.

    Raises:
        TypeError: An unknown argument.
        DataUnavailableError: The encoder is nowhere; the message says how to train it.
        ChecksumError: The weights are not those of the record.
    """
    from hybridir_mteb.adapters.mteb.encoder import SentenceEncoder, torch_device
    from hybridir_mteb.encoders.load import load_sentence_transformer

    if kwargs:
        raise TypeError(f"{model_name} does not know the arguments {', '.join(sorted(kwargs))}")
    wanted = None if revision == NOT_HERE else revision
    encoder = trained.find(model_name, wanted) or from_hub(model_name, wanted)
    trained.verify(encoder)
    backbone_of = installed_plugins().backbones.__getitem__
    model = load_sentence_transformer(encoder, backbone_of, device=torch_device(device))
    return SentenceEncoder(
        model, precision=precision, token_budget=token_budget, revision=encoder.fingerprint
    )


def from_hub(name: str, revision: str | None) -> trained.StoredEncoder:
    """Fetch an encoder from the hub into the store.

    Raises:
        DataUnavailableError: It is not there, or the hub cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        folder = snapshot_download(name, allow_patterns=[f"*{s}" for s in sorted(ALLOWED)])
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        backbone, _, method = name.partition("/")[2].rpartition("-")
        which = f" with revision {revision}" if revision else ""
        raise DataUnavailableError(
            f"{name}{which} is not in the store, not in the package, and not on the hub "
            f"({one_line(error, 200)}). Train it: hybridir train --backbone {backbone} "
            f"--method {method}; or take it over from another machine: hybridir models import FILE"
        ) from error
    from pathlib import Path

    found = trained.read_encoder(Path(folder)).fingerprint
    if not found.startswith(revision or ""):
        raise DataUnavailableError(f"{name}: the hub has the revision {found}, not {revision}")
    return trained.import_encoder(Path(folder))


def to_hub(encoder: trained.StoredEncoder, repository: str, *, private: bool) -> str:
    """Upload an encoder's folder; returns the address of the commit.

    Raises:
        DataUnavailableError: The hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    trained.verify(encoder)
    try:
        api = HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.upload_folder(repo_id=repository, folder_path=encoder.path)
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, ValueError) as error:
        raise DataUnavailableError(
            f"{repository}: the upload failed: {one_line(error, 300)}. Check the "
            "network and your token (hf auth login)"
        ) from error
    return str(done)


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
    for encoder in trained.encoders():
        here.setdefault(encoder.name, encoder)
    metas = []
    by_name = {backbone.name: backbone for backbone in backbones}
    debiased = [encoder for encoder in here.values() if "debiaser" in encoder.record]
    for encoder in here.values():
        if encoder in debiased:
            continue
        with skipping(encoder, report):
            check_record(encoder.record, encoder.path)
            backbone = by_name.get(encoder.record["backbone"]["name"])
            if backbone is not None:
                metas.append(_meta_of(encoder, _template(backbone)))
    for backbone in backbones:
        template = _template(backbone)
        for method in methods:
            name = f"{trained.OWNER}/{backbone.name}-{method.name}"
            if method.batches and name not in here:
                metas.append(template.model_copy(update={"name": name}))
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


def _meta_of(encoder: trained.StoredEncoder, template: ModelMeta) -> ModelMeta:
    return template.model_copy(
        update={
            "name": encoder.name,
            "revision": encoder.fingerprint,
            "embed_dim": encoder.record["dimension"],
            "n_parameters": encoder.record["parameters"],
            "memory_usage_mb": round(encoder.record["parameters"] * BYTES_PER_PARAMETER / 2**20),
            "release_date": str(encoder.record["created"])[:10],
            "training_datasets": trained_on(encoder, template.training_datasets),
            "public_training_data": None,
        }
    )


def _tasks_of(evaluation_sets: Iterable[str]) -> set[str]:
    """Names of the MTEB tasks on evaluation sets: ours, and those that ours are adapted from."""
    tasks: set[str] = set()
    for name in evaluation_sets:
        tasks |= {name, *ADAPTED.get(name, ())}
        tasks |= {f"{name}{setting.in_task_name}Retrieval" for setting in Setting}
    return tasks


def _template(backbone: Backbone) -> ModelMeta:
    """The backbone's metadata, with what holds for every encoder trained from it."""
    from mteb.models.model_implementations import MODEL_REGISTRY
    from mteb.models.model_meta import ModelMeta, ScoringFunction

    update: dict[str, Any] = {
        "loader": load_encoder,
        "loader_kwargs": {},
        "name": f"{trained.OWNER}/{backbone.name}",
        "revision": NOT_HERE,
        "framework": ["Sentence Transformers", "PyTorch", "safetensors"],
        "adapted_from": backbone.hub_id,
        "public_training_code": TRAINING_CODE,
        "reference": TRAINING_CODE,
        "similarity_fn_name": ScoringFunction.COSINE,
        "use_instructions": bool(backbone.prompts),
    }
    known = MODEL_REGISTRY.get(backbone.hub_id)
    if known is not None:
        return known.model_copy(update=update)
    return ModelMeta.create_empty(overwrites=update)
