"""The shapes of known backbones, and of weights that are given: nothing is loaded for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hybridir_mteb.errors import DataUnavailableError, SettingError
from hybridir_mteb.files.json_text import read_json_object
from hybridir_mteb.files.remote import CONNECT, reached
from hybridir_mteb.paths import with_home
from hybridir_mteb.planning.networks import Block, Network, Read, of_config, plain_block
from hybridir_mteb.plugins.specs import Backbone

CONFIG = "config.json"
_SIZES = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
    *("intermediate_size", "vocab_size"),
)
_BERT = ("max_position_embeddings", "type_vocab_size")


def _gated(model_type: str, *sizes: int, tied: bool = False, **given: int) -> dict[str, Any]:
    known = {"model_type": model_type, "rms_norm_eps": 1e-6, "tie_word_embeddings": tied}
    return {**dict(zip(_SIZES, sizes, strict=True)), **given, **known}


def _bert(*sizes: int) -> dict[str, Any]:
    names = (*(name for name in _SIZES if name != "num_key_value_heads"), *_BERT)
    return {**dict(zip(names, sizes, strict=True)), "layer_norm_eps": 1e-12}


# From each maker's published configuration: hidden, layers, heads, key-value heads, intermediate,
# vocabulary; of encoders hidden, layers, heads, intermediate, vocabulary, positions, token types.
CONFIGS = {
    "pocket": _bert(384, 12, 12, 1536, 250_037, 512, 2),
    "me5s": _bert(384, 12, 12, 1536, 250_037, 512, 2),
    "xlmr": _bert(768, 12, 12, 3072, 250_002, 514, 1),
    "xlmr-large": _bert(1024, 24, 16, 4096, 250_002, 514, 1),
    "labse": _bert(768, 12, 12, 3072, 501_153, 512, 2),
    "gemma3-270m": _gated("gemma3_text", 640, 18, 4, 1, 2048, 262_144, tied=True, head_dim=256),
    "qwen2.5-7b": _gated("qwen2", 3584, 28, 28, 4, 18_944, 152_064),
    "qwen2.5-14b": _gated("qwen2", 5120, 48, 40, 8, 13_824, 152_064),
    "qwen2.5-32b": _gated("qwen2", 5120, 64, 40, 8, 27_648, 152_064),
    "qwen2.5-72b": _gated("qwen2", 8192, 80, 64, 8, 29_568, 152_064),
    "mistral-7b": _gated("mistral", 4096, 32, 32, 8, 14_336, 32_768),
    "llama3.1-8b": _gated("llama", 4096, 32, 32, 8, 14_336, 128_256),
    "llama3.1-70b": _gated("llama", 8192, 80, 64, 8, 28_672, 128_256),
}
_WINDOWS, _WIDTH, _HIDDEN = (2, 3, 5), 256, 512  # of muse
MUSE = Network(
    Block(
        reads=(
            Read(_HIDDEN, (3 * _WIDTH,)),
            *(Read(_WIDTH, (_WIDTH,), window=n) for n in _WINDOWS for _ in (1, 2)),
        ),
        vectors=3 * _WIDTH * 3 + 6 * _WIDTH + 2 * (_HIDDEN + 3 * _WIDTH),
        normed=3 * _WIDTH + _HIDDEN + 3 * _WIDTH,
        kept=6 * _WIDTH,
    ),
    layers=1,
    hidden=_HIDDEN,
    dimension=512,
    tables=128_010 * _HIDDEN,
    per_text=1280 * 512 + 512 + 2 * 512 * 320 + 320 * 320 + 2 * 320 * 512 + 512 * 512,
    table_bytes=1,
)


def network_of(backbone: Backbone, weights: str | None, revision: str | None = None) -> Network:
    """The network of a backbone, or of a local folder or hub id that is given instead of its own.

    Raises:
        SettingError: Nobody knows its shape, or its configuration is of no known kind.
        DataUnavailableError: The configuration of the weights cannot be had.
    """
    if weights is None:
        if backbone.name == "muse":
            return MUSE
        if backbone.name in CONFIGS:
            return of_config(CONFIGS[backbone.name], backbone.name)
        if backbone.layers and backbone.hidden:
            return guessed(backbone)
        if not backbone.hub_id:
            raise SettingError(
                f"the backbone {backbone.name} has no shape of its own: give its weights, a folder "
                "or a model of the hub and its commit (--weights, --revision)"
            )
    place = weights or backbone.hub_id
    file = _config_file(place, revision or backbone.revision)
    return of_config(read_json_object(file), str(file))


def _config_file(place: str, revision: str | None) -> Path:
    """The configuration of weights in a folder, or on the hub."""
    folder = with_home(place)
    if folder.is_dir():
        for name in (CONFIG, f"0_Transformer/{CONFIG}"):
            if (folder / name).is_file():
                return folder / name
        raise DataUnavailableError(f"{folder}: has no {CONFIG}: give a folder of transformers")
    from huggingface_hub import hf_hub_download

    with reached(f"{place}: its {CONFIG} cannot be had", "give a folder with --weights", CONNECT):
        return Path(hf_hub_download(place, CONFIG, revision=revision))


def guessed(backbone: Backbone) -> Network:
    """A network of a plugin's backbone from its three sizes: plain layers of 12 hidden² weights."""
    hidden, layers = backbone.hidden, backbone.layers
    block = plain_block(hidden, 4 * hidden, max(1, hidden // 64))
    tables = max(0, backbone.parameters - layers * block.weights)
    return Network(block, layers, hidden, hidden, tables, decoder=backbone.decoder, exact=False)
