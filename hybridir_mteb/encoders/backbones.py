"""The built-in backbones, as data; nothing is loaded here.

Decoder LLMs of the hub carry no pinned commit: a recipe that trains one names it. ``decoder``
stands for any, and has no weights of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hybridir_mteb.encoders.gemma import files as gemma
from hybridir_mteb.encoders.muse.files import SHA256, WEIGHTS
from hybridir_mteb.encoders.pocket.weights import FILE_SHA256
from hybridir_mteb.errors import SettingError
from hybridir_mteb.plugins.hookspecs import Register, hookimpl
from hybridir_mteb.plugins.specs import Backbone

INSTRUCTION = (
    "Instruct: Given a question, retrieve passages in any language that answer it\nQuery: "
)
E5 = {"query": "query: ", "document": "passage: "}


def _encoder(
    name: str, hub_id: str, millions: int, layers: int, hidden: int, **rest: Any
) -> Backbone:
    parameters = millions * 1_000_000
    return Backbone(name, hub_id, parameters=parameters, layers=layers, hidden=hidden, **rest)


def _decoder(
    name: str, hub_id: str = "", millions: int = 0, layers: int = 0, hidden: int = 0
) -> Backbone:
    usual = {"pooling": "lasttoken", "prompts": {"query": INSTRUCTION}, "max_tokens": 512}
    return _encoder(name, hub_id, millions, layers, hidden, decoder=True, lora=True, **usual)


GEMMA = replace(
    _decoder("gemma3-270m", "google/gemma-3-270m", 268, 18, 640),
    sha256=gemma.SHA256,
    loader="hybridir_mteb.encoders.gemma.model:load_gemma",
    source=gemma.SOURCE,
    terms=gemma.TERMS,
    license="gemma",
)
# Name, hub id, millions of parameters, layers, hidden size.
BACKBONES = (
    _encoder(
        "pocket",
        "intfloat/multilingual-e5-small",
        118,
        12,
        384,
        prompts=E5,
        lora=True,
        max_tokens=160,
        sha256=FILE_SHA256,
        loader="hybridir_mteb.encoders.pocket.model:load_pocket",
    ),
    Backbone(
        "muse",
        "google/universal-sentence-encoder-multilingual-3",
        max_tokens=160,
        sha256=SHA256[WEIGHTS],
        loader="hybridir_mteb.encoders.muse.model:load_muse",
        parameters=68_927_232,
        layers=2,  # of convolutions, each three times
        hidden=768,
        trained=3_386_112,
    ),
    GEMMA,
    _encoder("me5s", "intfloat/multilingual-e5-small", 118, 12, 384, prompts=E5),
    _encoder("xlmr", "FacebookAI/xlm-roberta-base", 278, 12, 768, pooling="mean"),
    _encoder("xlmr-large", "FacebookAI/xlm-roberta-large", 560, 24, 1024, pooling="mean"),
    _encoder("labse", "sentence-transformers/LaBSE", 471, 12, 768),
    _decoder("decoder"),
    _decoder("qwen2.5-7b", "Qwen/Qwen2.5-7B", 7_616, 28, 3584),
    _decoder("qwen2.5-14b", "Qwen/Qwen2.5-14B", 14_770, 48, 5120),
    _decoder("qwen2.5-32b", "Qwen/Qwen2.5-32B", 32_764, 64, 5120),
    _decoder("qwen2.5-72b", "Qwen/Qwen2.5-72B", 72_706, 80, 8192),
    _decoder("mistral-7b", "mistralai/Mistral-7B-v0.3", 7_248, 32, 4096),
    _decoder("llama3.1-8b", "meta-llama/Llama-3.1-8B", 8_030, 32, 4096),
    _decoder("llama3.1-70b", "meta-llama/Llama-3.1-70B", 70_554, 80, 8192),
)


def place_of(backbone: Backbone, weights: str | None) -> str:
    """Folder or hub id of a backbone's weights: those that are given, or else the table's.

    Raises:
        SettingError: None are given, and the backbone has none of its own.
    """
    if not (weights or backbone.hub_id):
        raise SettingError(
            f"the backbone {backbone.name} has no weights of its own: give a folder, or a model of "
            "the hub and its commit (--weights, --revision)"
        )
    return weights or backbone.hub_id


@hookimpl
def register_backbones(register: Register) -> None:
    """Register the built-in backbones."""
    for backbone in BACKBONES:
        register(backbone)
