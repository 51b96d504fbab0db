"""Loading encoders by name: ours, those that MTEB knows, and folders; MTEB's loaders are here.

Read whenever mteb is imported, so torch is imported in functions only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]
from mteb.models.model_implementations import MODEL_REGISTRY

from hybridir_mteb import paths
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.hub import from_hub
from hybridir_mteb.encoders.pocket.weights import FILE_SHA256
from hybridir_mteb.encoders.trained import NOT_HERE
from hybridir_mteb.errors import (
    ChecksumError,
    DataUnavailableError,
    HybridIRError,
    SettingError,
    UnknownNameError,
    one_line,
    quoted,
    suggest,
)
from hybridir_mteb.files.remote import diagnose, quiet
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.paths import with_home

if TYPE_CHECKING:
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
    from sentence_transformers import SentenceTransformer

    from hybridir_mteb.adapters.mteb.models import DebiasedEncoder, SentenceEncoder

LOCAL = "local"
SEPARATOR = "+"  # between a base's name and a debiaser's
# What a sentence-transformers model does to texts and embeddings beside its network.
SETTINGS = (
    "prompts",
    "default_prompt_name",
    "max_seq_length",
    "truncate_dim",
    "similarity_fn_name",
)


class EncoderOptions(TypedDict, total=False):
    """How an encoder of ours encodes, as keywords of its loader.

    Attributes:
        precision: ``fp32``, ``bf16`` or, for the faster one here, ``auto``; MTEB keeps the results
            of each apart.
        token_budget: Largest batch in tokens, padding included.
        max_tokens: Longest input; by default the network's own. MTEB keeps the results of each
            apart.
        engine: What encodes; by default what the environment says.
    """

    precision: str
    token_budget: int | None
    max_tokens: int | None
    engine: str | None


def load_pocket_base(
    model_name: str,
    revision: str | None = None,
    device: str | int | None = None,
    **options: Unpack[EncoderOptions],
) -> SentenceEncoder:
    """Loader of ``hybridir/pocket-base``.

    Args:
        model_name: The registered name; only for messages.
        revision: Fingerprint of the weights that the caller expects.
        device: Torch device, or MTEB's device number.
        **options: As in :class:`EncoderOptions`.

    Raises:
        TypeError: An unknown argument.
        ValueError: Another revision than the pinned one.
    """
    from hybridir_mteb.adapters.mteb.models import SentenceEncoder, torch_device
    from hybridir_mteb.encoders.pocket.model import load_pocket
    from hybridir_mteb.encoders.sentence import cut

    longest, how = checked_options(model_name, options)
    if revision not in (None, FILE_SHA256):
        raise ValueError(f"{model_name} has only the revision {FILE_SHA256}, not {revision}")
    return SentenceEncoder(cut(load_pocket(device=torch_device(device)), longest), **how)


def load_encoder(
    model_name: str,
    revision: str | None = None,
    device: str | int | None = None,
    **options: Unpack[EncoderOptions],
) -> SentenceEncoder:
    """Loader of every trained encoder: from the store, else the package, else the hub.

    Args:
        model_name: ``hybridir/<backbone>-<method>``.
        revision: Fingerprint of the weights, or its first characters.
        device: Torch device, or MTEB's device number.
        **options: As in :class:`EncoderOptions`.

    Raises:
        TypeError: An unknown argument.
        DataUnavailableError: The encoder is nowhere; the message says how to train it.
        ChecksumError: The weights are not those of the record.
    """
    from hybridir_mteb.adapters.mteb.models import SentenceEncoder, torch_device
    from hybridir_mteb.encoders.load import load_sentence_transformer
    from hybridir_mteb.encoders.sentence import cut

    longest, how = checked_options(model_name, options)
    wanted = None if revision == NOT_HERE else revision
    encoder = trained.find(model_name, wanted) or from_hub(model_name, wanted)
    trained.verify(encoder)
    backbone_of = installed_plugins().backbones.__getitem__
    model = load_sentence_transformer(encoder, backbone_of, device=torch_device(device))
    return SentenceEncoder(cut(model, longest), revision=encoder.fingerprint, **how)


def checked_options(model_name: str, options: EncoderOptions) -> tuple[int | None, dict[str, Any]]:
    """The longest input, and what a ``SentenceEncoder`` is told besides.

    Raises:
        TypeError: An option that is not known: it would change where results are stored.
    """
    rest: dict[str, Any] = {**options}
    longest = rest.pop("max_tokens", None)
    chosen = rest.keys() & {"precision", "token_budget"}
    how: dict[str, Any] = {name: rest.pop(name) for name in chosen}
    how["engine"] = engine_of(model_name, rest)
    return longest, how


def engine_of(model_name: str, arguments: Mapping[str, Any]) -> str:
    """The engine among a loader's arguments; others, which nobody reads, are refused."""
    if odd := sorted(arguments.keys() - {"engine"}):
        raise TypeError(f"{model_name} does not know the arguments {', '.join(odd)}")
    return paths.engine(arguments.get("engine"))


def load_debiased(
    model_name: str, revision: str | None = None, device: str | int | None = None, **kwargs: Any
) -> DebiasedEncoder:
    """Loader of every debiased encoder: its statistics around its base, which gets the options.

    Raises:
        DataUnavailableError: The encoder, or its base, is not on this machine.
        ChecksumError: Statistics or base are not those of the record.
    """
    from hybridir_mteb.adapters.mteb.models import DebiasedEncoder
    from hybridir_mteb.debias.fitted import read_fitted

    wanted = None if revision == NOT_HERE else revision
    encoder = trained.find(model_name, wanted)
    if encoder is None:
        base, _, method = model_name.rpartition(SEPARATOR)
        which = f" with revision {wanted}" if wanted else ""
        raise DataUnavailableError(
            f"{model_name}{which} is neither in the store nor in the package. Fit it: hybridir "
            f"debias fit --model {base} --method {method}; or take it over from another machine: "
            "hybridir models import FILE"
        )
    trained.verify(encoder)
    backbone = encoder.record["backbone"]
    commit = backbone["model_revision"]
    base_model = load_base(backbone["name"], revision=commit, device=device, **kwargs)
    found = base_revision(base_model)
    if found != backbone["revision"]:
        raise ChecksumError(
            f"{model_name} was fitted on {backbone['name']} with the revision "
            f"{backbone['revision']}, but the one here has {found}: fit it again: hybridir debias "
            f"fit --model {backbone['name']} --method {encoder.record['debiaser']['method']}"
        )
    fitted = read_fitted(encoder.path, installed_plugins().debiasers)
    return DebiasedEncoder(base_model, fitted, revision=encoder.fingerprint)


def local_folder(base: str) -> Path | None:
    """The folder, unless MTEB knows a model of this name."""
    folder = with_home(base)
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

    check_base(base)
    folder = local_folder(base)
    try:
        with quiet():
            if folder is not None:
                return _load_folder(folder, device, kwargs)
            known = MODEL_REGISTRY.get(base)
            if known is None:
                known = get_model_meta(base, revision, fetch_from_hf=True)
            # The loader decides whether it has the revision: the registry knows the newest only.
            meta = known.model_copy(update={"revision": revision or known.revision})
            model = meta.load_model(device=device, **kwargs)  # type: ignore[arg-type]  # MTEB: int
            if base not in MODEL_REGISTRY:
                _check_loaded(base, meta.revision, model)
            return model
    except HybridIRError:
        raise
    except Exception as error:  # other people's loaders, and the hub's client, raise anything
        if isinstance(error, TypeError) and kwargs:
            raise SettingError(
                f"{base} cannot be loaded with {', '.join(sorted(kwargs))}: {one_line(error)}"
            ) from error
        cause, remedy = diagnose(error)
        raise DataUnavailableError(
            f"{base} cannot be loaded: {cause}. {remedy and f'To have it: {remedy}. '}"
            "'hybridir models list' shows encoders that are here; a folder of a "
            "sentence-transformers model works too"
        ) from error


def _check_loaded(base: str, revision: str | None, model: Any) -> None:
    """Refuse another kind of model that MTEB, which knows nothing of it, took for a bi-encoder."""
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

    from hybridir_mteb.encoders.kinds import refuse_other_files

    if isinstance(model, SentenceTransformerEncoderWrapper):
        refuse_other_files(base, revision=revision, local_files_only=True)


def check_base(base: str) -> None:
    """Refuse early what can be no base; our models must be registered.

    Raises:
        UnknownNameError: A name of this package that is not registered.
        DataUnavailableError: A path that is no folder, or a name that nothing can have.
    """
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
            f"no encoder {quoted(base)}{suggest(base, known)} ('hybridir models list "
            "--trainable' shows all)"
        )
    try:
        validate_repo_id(base)  # MTEB would ask the hub all the same
    except HFValidationError as error:
        raise DataUnavailableError(
            f"{quoted(base)}: no folder, not known to mteb, and no model of the hub can be called "
            "so; 'hybridir models list' shows encoders that are here"
        ) from error


def _load_folder(folder: Path, device: str | int | None, kwargs: Mapping[str, Any]) -> Any:
    from mteb.models.model_meta import ModelMeta, ScoringFunction
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

    from hybridir_mteb.adapters.mteb.models import torch_device
    from hybridir_mteb.encoders.kinds import refuse_other_files

    refuse_other_files(folder)
    model = SentenceTransformerEncoderWrapper(
        str(folder), device=torch_device(device), local_files_only=True, **kwargs
    )
    named = model.model.similarity_fn_name
    # MTEB knows no others; the model's own function is used all the same.
    similarity = ScoringFunction(named) if named in {"cosine", "dot"} else None
    model.mteb_model_meta = ModelMeta.create_empty(
        {"name": f"{LOCAL}/{folder.name}", "revision": LOCAL, "similarity_fn_name": similarity}
    )
    return model


def base_revision(model: Any) -> str:
    """What tells a base from every other that embeds differently.

    The fingerprint of an encoder of ours. Of any other MTEB's revision and, where it can be seen, a
    hash of network, prompts and settings.
    """
    from hybridir_mteb.adapters.mteb.encoder import module_of
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


def encoder_of(model: Any) -> Any:
    """The MTEB encoder behind a name, a folder or a model object.

    Args:
        model: Name or folder as of :func:`load_base`, an MTEB encoder, a ``SentenceTransformer``
            or a debiased one.

    Raises:
        SettingError: A model that searches or reranks by itself.
    """
    from sentence_transformers import SentenceTransformer

    from hybridir_mteb.adapters.mteb.models import DebiasedEncoder, check_encoder
    from hybridir_mteb.debias.sentence_transformer import DebiasedSentenceTransformer

    if isinstance(model, str | Path):
        loaded = load_base(str(model))
        check_encoder(loaded)
        return loaded
    if isinstance(model, DebiasedSentenceTransformer):
        return DebiasedEncoder(encoder_of(model.model), model.fitted)
    if isinstance(model, SentenceTransformer):
        return _of_sentence_transformer(model)
    check_encoder(model)
    return model


def _of_sentence_transformer(
    model: SentenceTransformer,
) -> SentenceEncoder | SentenceTransformerEncoderWrapper:
    """Prompts as ``encode_query`` and ``encode_document`` of sentence-transformers choose them."""
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

    from hybridir_mteb.adapters.mteb.models import SentenceEncoder
    from hybridir_mteb.encoders.sentence import is_plain

    if is_plain(model):
        return SentenceEncoder(model)
    wrapper = SentenceTransformerEncoderWrapper(model)
    # Not those of tasks, which the model itself knows nothing of.
    roles = {name: model.prompts[name] for name in ("query", "document") if name in model.prompts}
    wrapper.model_prompts = cast("dict[str, str]", roles) or None
    return wrapper


def pinned_revision(hub_id: str) -> str | None:
    """The commit that MTEB pins for a model of the hub, if it knows the model."""
    meta = MODEL_REGISTRY.get(hub_id)
    return None if meta is None else meta.revision
