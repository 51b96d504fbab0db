"""Bases of debiased encoders: loading any model, and telling it from every other.

Imports neither torch nor mteb: it is read whenever mteb is imported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybridir_mteb.encoders import trained
from hybridir_mteb.errors import (
    DataUnavailableError,
    HybridIRError,
    SettingError,
    UnknownNameError,
    one_line,
    suggest,
)

LOCAL = "local"
# What a sentence-transformers model does to texts and embeddings beside its network.
SETTINGS = (
    "prompts",
    "default_prompt_name",
    "max_seq_length",
    "truncate_dim",
    "similarity_fn_name",
)


def local_folder(base: str) -> Path | None:
    """The folder, unless MTEB knows a model of this name."""
    from mteb.models.model_implementations import MODEL_REGISTRY

    folder = Path(base).expanduser()
    return folder.resolve() if base not in MODEL_REGISTRY and folder.is_dir() else None


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
        UnknownNameError: A name of this package that is not registered.
        DataUnavailableError: The model cannot be had.
    """
    from mteb.models.get_model_meta import get_model_meta
    from mteb.models.model_implementations import MODEL_REGISTRY

    check_base(base)
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
    except HybridIRError:
        raise
    except Exception as error:  # other people's loaders, and the hub's client, raise anything
        raise DataUnavailableError(
            f"{base} cannot be loaded: {one_line(error, 300)}. 'hybridir models list' shows "
            "encoders that are here; a folder of a sentence-transformers model works too"
        ) from error


def check_base(base: str) -> None:
    """Refuse early what can be no base; registers our models, should the autoload hook be off.

    Raises:
        UnknownNameError: A name of this package that is not registered.
        DataUnavailableError: A path that is no folder.
    """
    from mteb.models.model_implementations import MODEL_REGISTRY

    from hybridir_mteb.adapters.mteb.register import register

    register()
    if base in MODEL_REGISTRY or local_folder(base) is not None:
        return
    if base.startswith((".", "/", "~")):
        raise DataUnavailableError(
            f"{base}: there is no such folder; give the folder of a sentence-transformers model, "
            "or a name that mteb knows"
        )
    if base.startswith(f"{trained.OWNER}/"):
        known = [name for name in MODEL_REGISTRY if name.startswith(f"{trained.OWNER}/")]
        raise UnknownNameError(
            f"no encoder {base!r}{suggest(base, known)} ('hybridir models list --trainable' shows "
            "all)"
        )


def _load_folder(folder: Path, device: str | int | None, kwargs: Mapping[str, Any]) -> Any:
    from mteb.models.model_meta import ModelMeta, ScoringFunction
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

    from hybridir_mteb.adapters.mteb.encoder import torch_device

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

    The fingerprint of an encoder of ours. Of any other MTEB's revision and, where it can be seen, a
    hash of network, prompts and settings.
    """
    from hybridir_mteb.adapters.mteb.embed import module_of
    from hybridir_mteb.encoders.fingerprint import module_fingerprint

    meta = getattr(model, "mteb_model_meta", None)
    revision = str(getattr(meta, "revision", None))
    if str(getattr(meta, "name", "")).startswith(f"{trained.OWNER}/"):
        return revision
    module, prompts = module_of(model), getattr(model, "model_prompts", None)
    if module is None and not prompts:
        return revision
    seen = {name: getattr(module, name, None) for name in SETTINGS}
    seen["model_prompts"] = prompts
    seen["network"] = None if module is None else module_fingerprint(module)
    text = json.dumps(seen, sort_keys=True, default=repr)
    return f"{revision}:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def pinned_revision(hub_id: str) -> str | None:
    """The commit that MTEB pins for a model of the hub, if it knows the model."""
    from mteb.models.model_implementations import MODEL_REGISTRY

    meta = MODEL_REGISTRY.get(hub_id)
    return None if meta is None else meta.revision
