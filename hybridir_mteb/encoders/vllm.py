"""Encoding by vLLM, after it was compared with the network itself.

Engines differ in pooling, end-of-text tokens, prompts and length. So vLLM is given the reference's
own tokens, told how to pool, and refused where a vector is not the reference's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from hybridir_mteb import paths
from hybridir_mteb.encoders.encoder import Role
from hybridir_mteb.encoders.features import NO_LIMIT
from hybridir_mteb.encoders.four_bit import unpacked
from hybridir_mteb.encoders.other_engine import OtherEngine
from hybridir_mteb.encoders.pocket.model import network_of, quiet_transformers
from hybridir_mteb.encoders.token_budget import CHUNK_TEXTS, Precision
from hybridir_mteb.errors import SettingError, from_extra, quoted
from hybridir_mteb.files.room import check_room, room_for
from hybridir_mteb.files.temporary import TemporaryFolder
from hybridir_mteb.ranking.arrays import FloatMatrix, check_embeddings

DTYPES = {Precision.FP32: "float32", Precision.BF16: "bfloat16"}
POOLINGS = {"lasttoken": "LAST", "mean": "MEAN", "cls": "CLS"}
BYTES_OF_NUMBER = 4


class VllmEncoder(OtherEngine):
    """Encodes with vLLM what a sentence-transformers model encodes.

    Args:
        model: The reference. It leaves the device once it was compared with; weights in 4 bits are
            unpacked, since vLLM reads the sum of them and of the adapter.
        precision: Of the reference and of vLLM.
        token_budget: Of the reference.

    Raises:
        MissingExtraError: vLLM is not installed.
        SettingError: A network that vLLM cannot be told of, or other vectors than the reference's.
    """

    asked, label = "vllm", "vLLM"

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        precision: Precision = Precision.FP32,
        token_budget: int | None = None,
    ) -> None:
        with from_extra("vllm", "engine=vllm"):
            import vllm
            from vllm.config import PoolerConfig
        super().__init__(model, precision=precision, token_budget=token_budget)
        settings = {
            "pooler_config": PoolerConfig(pooling_type=_pooling_of(model)),
            "dtype": DTYPES[self.precision],
        }
        reference = self.reference()
        model.to("cpu")  # the device is vLLM's now
        holder: Any = model[0]
        holder.model = unpacked(holder.model)
        self._llm = _loaded(vllm.LLM, model, settings)
        self.name = f"vllm {vllm.__version__}"
        self.check(reference)

    def batches(
        self, texts: Sequence[str], prompt: str | None = "", role: Role | None = None
    ) -> Iterator[tuple[Sequence[int], FloatMatrix]]:
        """Positions and embeddings of one chunk after the other; vLLM makes the batches."""
        for start in range(0, len(texts), CHUNK_TEXTS):
            chunk = texts[start : start + CHUNK_TEXTS]
            asked = [{"prompt_token_ids": ids} for ids in self.token_ids(chunk, prompt)]
            given = self._llm.embed(asked, use_tqdm=False)
            vectors = np.asarray([one.outputs.embedding for one in given], np.float32)
            positions = range(start, start + len(chunk))
            check_embeddings(vectors, "text", positions=positions)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            yield positions, vectors[:, : self.model.truncate_dim]


def _pooling_of(model: SentenceTransformer) -> str:
    """VLLM's word for what comes after the network, if it has one."""
    after = list(model)[1:]
    mode = getattr(after[0], "pooling_mode", None) if after else None
    if [type(module) for module in after] != [Pooling, Normalize] or mode not in POOLINGS:
        raise SettingError(
            f"engine=vllm needs a network with pooling ({', '.join(POOLINGS)}) and normalisation "
            f"after it, not {', '.join(type(m).__name__ for m in after) or 'nothing'} "
            f"(pooling {quoted(mode, 80)}): leave engine out"
        )
    return POOLINGS[mode]


def _loaded(
    engine: Callable[..., Any], model: SentenceTransformer, settings: Mapping[str, Any]
) -> Any:
    """The engine, from a copy of the network that it is given in a folder for a while."""
    longest = model.max_seq_length
    parent = paths.cache_dir() / "engines"
    parent.mkdir(parents=True, exist_ok=True)
    numbers = sum(p.numel() for p in model.parameters())
    check_room(parent, numbers * BYTES_OF_NUMBER, "the network as vLLM reads it")
    with TemporaryFolder(parent, "vllm") as folder, room_for(folder, folder), quiet_transformers():
        network_of(model).save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        return engine(
            model=str(folder),
            runner="pooling",
            convert="embed",
            max_model_len=longest if longest and longest < NO_LIMIT else None,
            **settings,
        )
