"""A stand-in for vLLM: what of its API is used, computed by transformers from the same folder."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModel


class PoolerConfig:
    """How to pool."""

    def __init__(self, *, pooling_type: str) -> None:
        self.pooling_type = pooling_type


class LLM:
    """Embeds lists of tokens, each alone, and normalises, as vLLM does by default."""

    pooling: str | None = None  # instead of what it is told
    made: list[dict[str, Any]] = []  # noqa: RUF012 -- of all engines

    def __init__(self, model: str, **settings: Any) -> None:
        self.made.append(settings)
        self._network = AutoModel.from_pretrained(model).eval()
        self._pooling = self.pooling or settings["pooler_config"].pooling_type
        self._longest = settings["max_model_len"]

    def embed(self, prompts: list[dict[str, list[int]]], *, use_tqdm: bool) -> list[Any]:
        assert not use_tqdm
        return [SimpleNamespace(outputs=self._output(one["prompt_token_ids"])) for one in prompts]

    def _output(self, ids: list[int]) -> SimpleNamespace:
        assert self._longest is None or len(ids) <= self._longest
        with torch.inference_mode():
            states = self._network(input_ids=torch.tensor([ids])).last_hidden_state[0]
        pooled = {"LAST": states[-1], "MEAN": states.mean(dim=0), "CLS": states[0]}[self._pooling]
        return SimpleNamespace(embedding=(pooled / pooled.norm()).tolist())


def install(monkeypatch: pytest.MonkeyPatch, pooling: str | None = None) -> None:
    """Let ``import vllm`` find the stand-in.

    Args:
        monkeypatch: Undoes it.
        pooling: What it does whatever it is told.
    """
    module, config = ModuleType("vllm"), ModuleType("vllm.config")
    config.PoolerConfig = PoolerConfig
    module.config, module.LLM, module.__version__ = config, LLM, "0.99.0"
    monkeypatch.setattr(LLM, "pooling", pooling)
    monkeypatch.setattr(LLM, "made", [])
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setitem(sys.modules, "vllm.config", config)
