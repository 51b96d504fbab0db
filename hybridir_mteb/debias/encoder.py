"""Debiased encoders as MTEB models: loading one with its base, and its metadata.

Imports neither torch nor mteb: it runs whenever mteb is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridir_mteb import store
from hybridir_mteb.errors import ChecksumError, DataUnavailableError, SettingError
from hybridir_mteb.names import NOT_HERE

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta

    from hybridir_mteb.adapters.mteb_debias import DebiasedEncoder

SEPARATOR = "+"
LOCAL = "local"


def debiased_name(base: str, method: str) -> str:
    """Name of a debiased encoder: ``hybridir/<base>+<method>``.

    Args:
        base: ``hybridir/<base>``, ``org/name`` of another model (then ``org__name``), or a local
            folder (then the folder's name).
        method: Name of the debiaser.
    """
    folder = local_folder(base)
    owner, _, own = base.partition("/")
    if folder is not None:
        short = folder.name
    else:
        short = own if owner == store.OWNER else base.replace("/", "__")
    return f"{store.OWNER}/{short}{SEPARATOR}{method}"


def local_folder(base: str) -> Path | None:
    """The folder, unless MTEB knows a model of this name."""
    from mteb.models.model_implementations import MODEL_REGISTRY

    folder = Path(base).expanduser()
    return folder.resolve() if base not in MODEL_REGISTRY and folder.is_dir() else None


def load_debiased(
    model_name: str,
    revision: str | None = None,
    device: str | int | None = None,
    **kwargs: Any,
) -> DebiasedEncoder:
    """Loader of every debiased encoder: its statistics around its base.

    Args:
        model_name: ``hybridir/<base>+<debiaser>``.
        revision: Fingerprint of statistics and base, or its first characters.
        device: Torch device, or MTEB's device number.
        **kwargs: For the base's loader, such as ``precision`` and ``token_budget``.

    Raises:
        DataUnavailableError: The encoder, or its base, is not on this machine.
        ChecksumError: Statistics or base are not those of the record.
    """
    from hybridir_mteb.adapters.mteb_debias import DebiasedEncoder
    from hybridir_mteb.debias.apply import read_fitted

    wanted = None if revision == NOT_HERE else revision
    encoder = store.find(model_name, wanted)
    if encoder is None:
        base, _, method = model_name.rpartition(SEPARATOR)
        which = f" with revision {wanted}" if wanted else ""
        raise DataUnavailableError(
            f"{model_name}{which} is neither in the store nor in the package. Fit it: hybridir "
            f"debias fit --model {base} --method {method}; or take it over from another machine: "
            "hybridir models import FILE"
        )
    store.verify(encoder)
    backbone = encoder.record["backbone"]
    base_model = load_base(
        backbone["name"], revision=backbone["model_revision"], device=device, **kwargs
    )
    found = base_revision(base_model)
    if found != backbone["revision"]:
        raise ChecksumError(
            f"{model_name} was fitted on {backbone['name']} with the revision "
            f"{backbone['revision']}, but the one here has {found}: fit it again: hybridir debias "
            f"fit --model {backbone['name']} --method {encoder.record['debiaser']['method']}"
        )
    return DebiasedEncoder(base_model, read_fitted(encoder.path))


def load_base(
    base: str, *, revision: str | None = None, device: str | int | None = None, **kwargs: Any
) -> Any:
    """A base as an MTEB encoder: one that MTEB knows, a local folder, or a model of the hub.

    Args:
        base: Name, or folder of a sentence-transformers model.
        revision: Of the base; None takes the newest.
        device: Torch device, or MTEB's device number.
        **kwargs: For the base's loader.

    Raises:
        SettingError: The loader does not know an argument.
        DataUnavailableError: The model cannot be had.
    """
    from mteb.models.get_model_meta import get_model_meta
    from mteb.models.model_implementations import MODEL_REGISTRY

    folder = local_folder(base)
    try:
        if folder is not None:
            return _load_folder(folder, device, kwargs)
        known = MODEL_REGISTRY.get(base)
        if known is None:
            known = get_model_meta(base, revision, fetch_from_hf=True)
        # The loader decides whether it has the revision: the registry knows the newest only.
        meta = known.model_copy(update={"revision": revision or known.revision})
        return meta.load_model(device=device, **kwargs)  # type: ignore[arg-type]  # MTEB passes int
    except TypeError as error:
        if not kwargs:
            raise
        raise SettingError(
            f"{base} cannot be loaded with {', '.join(sorted(kwargs))}: {error}"
        ) from error
    except (OSError, ValueError) as error:
        if isinstance(error, (ChecksumError, DataUnavailableError, SettingError)):
            raise
        raise DataUnavailableError(
            f"{base} cannot be loaded: {' '.join(str(error).split())[:300]}. 'hybridir models "
            "list' shows encoders that are here; a folder of a sentence-transformers model works "
            "too"
        ) from error


def _load_folder(folder: Path, device: str | int | None, kwargs: Mapping[str, Any]) -> Any:
    from mteb.models.model_meta import ModelMeta, ScoringFunction
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

    from hybridir_mteb.adapters.mteb_encoder import torch_device

    model = SentenceTransformerEncoderWrapper(
        str(folder), device=torch_device(device), local_files_only=True, **kwargs
    )
    similarity = model.model.similarity_fn_name
    model.mteb_model_meta = ModelMeta.create_empty(
        {
            "name": f"{LOCAL}/{folder.name}",
            "revision": LOCAL,
            # MTEB knows no others; the model's own function is used all the same.
            "similarity_fn_name": (
                ScoringFunction(similarity) if similarity in {"cosine", "dot"} else None
            ),
        }
    )
    return model


def base_revision(model: Any) -> str:
    """What tells a base from every other that embeds differently.

    The fingerprint of an encoder of ours; of any other MTEB's revision and, where the network can
    be seen, the fingerprint of its weights.
    """
    from hybridir_mteb.adapters.mteb_embed import module_of
    from hybridir_mteb.fingerprint import module_fingerprint

    meta = getattr(model, "mteb_model_meta", None)
    revision = str(getattr(meta, "revision", None))
    if str(getattr(meta, "name", "")).startswith(f"{store.OWNER}/"):
        return revision
    module = module_of(model)
    weights = module_fingerprint(module) if module is not None else None
    return f"{revision}:{weights}" if weights else revision


def debiased_metas(
    encoders: Iterable[store.StoredEncoder],
    known: Mapping[str, ModelMeta],
    debiasers: Iterable[str] = (),
) -> list[ModelMeta]:
    """MTEB metadata of debiased encoders: those of their bases, with what is changed.

    Args:
        encoders: Debiased encoders.
        known: Metadata of possible bases by name, besides MTEB's own.
        debiasers: Names of all; each makes a name of every base on this machine, and loading one
            that has not been fitted says how to fit it.
    """
    from mteb.models.model_implementations import MODEL_REGISTRY

    metas: dict[str, ModelMeta] = {}
    # A base may be debiased itself: fewer separators come first.
    for encoder in sorted(encoders, key=lambda e: (e.name.count(SEPARATOR), e.name)):
        base = encoder.record["backbone"]["name"]
        template = metas.get(base) or known.get(base) or MODEL_REGISTRY.get(base)
        metas[encoder.name] = _meta_of(encoder, template)
    for base, meta in known.items():
        if getattr(meta, "revision", NOT_HERE) == NOT_HERE or not base.startswith(store.OWNER):
            continue
        for method in debiasers:
            name = f"{base}{SEPARATOR}{method}"
            if name not in metas:
                metas[name] = meta.model_copy(update={"name": name, "adapted_from": base, **_UNFIT})
    return list(metas.values())


_UNFIT: Mapping[str, Any] = {
    "revision": NOT_HERE,
    "loader": load_debiased,
    "loader_kwargs": {},
}


def _meta_of(encoder: store.StoredEncoder, base: ModelMeta | None) -> ModelMeta:
    from mteb.models.model_meta import ModelMeta, ScoringFunction

    from hybridir_mteb.encoders import trained_on

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
            "loader": load_debiased,
            "loader_kwargs": {},
            "release_date": str(record["created"])[:10],
            "embed_dim": record["dimension"],
            "adapted_from": None if base is None else str(base.name),
            "training_datasets": trained_on(encoder, template.training_datasets),
        }
    )
