"""What is true of the network that a run trained, for the encoder's record and metadata.

Weights that are given instead of the table's may be of any size, licence and languages, so these
come from the network itself, and from the card beside it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, hf_hub_download
from sentence_transformers import SentenceTransformer

from hybridir_mteb.encoders.features import NO_LIMIT
from hybridir_mteb.encoders.pocket.model import network_of
from hybridir_mteb.errors import DataUnavailableError
from hybridir_mteb.files.remote import reached
from hybridir_mteb.paths import with_home
from hybridir_mteb.training.plan import Plan

CARD = "README.md"


def facts_of(model: SentenceTransformer, plan: Plan) -> dict[str, Any]:
    """Sizes, longest input, licence and languages; None for what is not known.

    LoRA's factors do not count, since they are merged.
    """
    embeddings = getattr(network_of(model), "get_input_embeddings", None)
    longest = model.max_seq_length
    said = _card(plan) if plan.recipe.weights else {}
    licence, languages = said.get("license"), said.get("language")
    languages = [languages] if isinstance(languages, str) else languages
    # A network is loaded in float32, whatever it is trained in; packed weights stay packed.
    size = sum(
        p.numel() * (4 if p.is_floating_point() else p.element_size())
        for name, p in model.named_parameters()
        if ".lora_" not in name
    )
    return {
        "embedding_parameters": embeddings().weight.numel() if callable(embeddings) else None,
        "longest_input": longest if longest and longest < NO_LIMIT else None,
        "memory_mb": round(size / 2**20),
        "license": licence if isinstance(licence, str) else plan.backbone.license or None,
        "languages": [str(code) for code in languages] if isinstance(languages, list) else [],
    }


def _card(plan: Plan) -> dict[str, Any]:
    """What the model card of the weights says of them; empty if there is none."""
    place = str(plan.recipe.weights)
    path = with_home(place) / CARD
    with suppress(DataUnavailableError), reached(f"{place}: no card"):
        if not path.parent.is_dir():
            path = Path(hf_hub_download(place, CARD, revision=plan.revision))
        return dict(ModelCard.load(path, ignore_metadata_errors=True).data.to_dict())
    return {}
