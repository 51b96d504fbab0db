"""Stored encoders as sentence-transformers models."""

from __future__ import annotations

from sentence_transformers import SentenceTransformer

from hybridir_mteb.encoders.network import load_backbone, merge_adapter
from hybridir_mteb.encoders.trained import MODEL, StoredEncoder
from hybridir_mteb.errors import DataUnavailableError
from hybridir_mteb.installed import installed_plugins


def load_sentence_transformer(
    encoder: StoredEncoder, *, device: str | None = None
) -> SentenceTransformer:
    """The encoder, LoRA adapters merged into the weights of the backbone.

    Raises:
        DataUnavailableError: The backbone of an adapter, or the weights, cannot be loaded.
    """
    if not encoder.is_adapter:
        try:
            model = SentenceTransformer(
                str(encoder.path / MODEL),
                device=device or "cpu",
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError) as error:
            raise DataUnavailableError(f"{encoder.path}: cannot be loaded: {error}") from error
        return model.eval()
    trained_from = encoder.record["backbone"]
    revision = trained_from["revision"]
    model = load_backbone(
        installed_plugins().backbones[trained_from["name"]],
        weights=trained_from["weights"],
        revision=None if revision == "local" else revision,
        device=device,
    )
    return merge_adapter(model, encoder.path)
