"""State outside of parameters and buffers: whatever changes embeddings changes the fingerprint."""

import copy
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
from peft import LoraConfig, get_peft_model
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Router, StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import nn
from toys.bert import WORDS, write_bert, write_bert_network
from transformers import AutoConfig, AutoModel
from transformers.models.bert.modeling_bert import BertLayer

from hybridir_mteb.adapters.mteb.models import SentenceEncoder
from hybridir_mteb.encoders.fingerprint import module_fingerprint, weights_stamp
from hybridir_mteb.encoders.module_state import is_patched, module_state
from hybridir_mteb.encoders.token_budget import TokenBudgetEncoder
from hybridir_mteb.encoders.values import code_of

TEXTS = ["w1 w2 w3", " ".join(WORDS), "w7"]
Change = Callable[[Any], object]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("bert") / "model")


def load(folder: Path) -> Any:
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True).eval()


def adapted(folder: Path) -> Any:
    """With two adapters of the same shape and other weights, the first active."""
    model = load(folder)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
    torch.manual_seed(1)
    model[0].model = get_peft_model(model[0].model, config)
    model[0].model.add_adapter("other", config)
    return model.eval()


def vectors(model: Any) -> np.ndarray:
    found: np.ndarray = model.encode(TEXTS, show_progress_bar=False)
    return found


def attention(model: Any) -> Any:
    return model[0].model.encoder.layer[1].attention.self


def set_to(path: str, value: object) -> Change:
    def change(model: Any) -> None:
        *parts, last = path.split(".")
        for part in parts:
            model = model[int(part)] if part.isdigit() else getattr(model, part)
        setattr(model, last, value)

    return change


def squared(module: Any, args: Any, output: Any) -> Any:
    return output**2


def shifted(size: float) -> Callable[..., Any]:
    return lambda module, args, output: output + size


def forward_of_its_own(self: Any, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    return {**features, "sentence_embedding": features["sentence_embedding"].flip(-1)}


CHANGES: dict[str, Change] = {
    "truncation side": set_to("tokenizer.truncation_side", "left"),
    "padding side": set_to("tokenizer.padding_side", "left"),
    "longest text": set_to("max_seq_length", 5),
    "scaling of attention": lambda model: setattr(attention(model), "scaling", 0.9),
    "epsilon": set_to("0.model.embeddings.LayerNorm.eps", 0.5),
    "slope of the activation": set_to("2.activation_function.negative_slope", 0.9),
    "input of the dense layer": set_to("2.use_residual", True),
    "pooling": set_to("1.pooling_mode", "cls"),
    "buffer that is not stored": lambda model: model[0].model.embeddings.position_ids.fill_(3),
    "hook": lambda model: model[2].linear.register_forward_hook(squared),
    "hook before": lambda model: model[2].linear.register_forward_pre_hook(
        lambda module, args: (args[0] ** 3,)
    ),
    "forward": lambda model: setattr(model[3], "forward", types.MethodType(forward_of_its_own, 1)),
    "encode": lambda model: setattr(model, "encode", lambda texts, **rest: np.zeros((3, 8))),
    "attention that can be seen": lambda model: model[0].model.set_attn_implementation("eager"),
    "activation of the network": lambda model: setattr(
        model[0].model.encoder.layer[0].intermediate, "intermediate_act_fn", nn.ReLU()
    ),
    "inputs": lambda model: setattr(model[0], "model_forward_params", {"input_ids", "return_dict"}),
}
SAME_TO_ROUNDING = {"attention that can be seen"}
NOT_RUN = {"input of the dense layer", "longest text"}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_in_place_has_another_fingerprint_and_another_stamp(folder, name):
    model = load(folder)
    before, stamp, embedded = module_fingerprint(model), weights_stamp(model), vectors(model)
    assert weights_stamp(model) == stamp
    CHANGES[name](model)
    if name not in SAME_TO_ROUNDING | NOT_RUN:
        assert not np.allclose(vectors(model), embedded)
    assert name == "longest text" or module_fingerprint(model) != before
    assert weights_stamp(model) != stamp or name == "longest text"  # which the store's keys have


ADAPTERS: dict[str, Change] = {
    "switched": lambda model: model[0].model.set_adapter("other"),
    "off": lambda model: model[0].model.base_model.disable_adapter_layers(),
    "merged": lambda model: model[0].model.merge_adapter(),
    "scaled": lambda model: (
        model[0].model.base_model.model.encoder.layer[0].output.dense.scaling.update(default=0.1)
    ),
    "mixed": lambda model: model[0].model.base_model.set_adapter(["default", "other"]),
}


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_state_of_adapters_counts(folder, name):
    model = adapted(folder)
    before, stamp, embedded = module_fingerprint(model), weights_stamp(model), vectors(model)
    assert before is not None
    assert module_fingerprint(adapted(folder)) == before
    ADAPTERS[name](model)
    assert name == "merged" or not np.allclose(vectors(model), embedded)
    assert module_fingerprint(model) not in {before, None}
    assert weights_stamp(model) != stamp


@pytest.mark.parametrize("setting", [{"lora_alpha": 9}, {"use_rslora": True}])
def test_settings_of_an_adapter_count_where_the_weights_are_equal(folder, setting):
    def make(**changes: Any) -> Any:
        torch.manual_seed(1)
        options: dict[str, Any] = {"r": 4, "lora_alpha": 8, "init_lora_weights": False}
        config = LoraConfig(**options | changes, target_modules="all-linear")
        model = load(folder)
        model[0].model = get_peft_model(model[0].model, config)
        return model.eval()

    one, other = make(), make(**setting)
    assert module_fingerprint(make()) == module_fingerprint(one)
    assert not np.allclose(vectors(one), vectors(other))
    assert module_fingerprint(one) != module_fingerprint(other)


def test_an_adapter_put_in_by_transformers_counts_too(folder):
    model = load(folder)
    before = module_fingerprint(model)
    torch.manual_seed(1)
    model[0].model.add_adapter(
        LoraConfig(r=4, lora_alpha=8, target_modules=["query"], init_lora_weights=False)
    )
    on = module_fingerprint(model)
    model[0].model.disable_adapters()
    assert len({before, on, module_fingerprint(model)}) == 3


def test_hooks_and_functions_are_told_apart_by_what_they_hold(folder):
    prints = set()
    for size in (1.0, 2.0):
        model = load(folder)
        model[2].register_forward_hook(shifted(size))
        prints.add(module_fingerprint(model))
    for factor in (1.0, 2.0):
        model = load(folder)
        model[2].activation_function = Activation(partial(torch.mul, other=factor))
        prints.add(module_fingerprint(model))
    assert len(prints) == 4
    assert None not in prints


class Activation(nn.Module):
    """A module of somebody's own, whose function is an attribute."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


def test_what_cannot_be_read_gives_no_fingerprint(folder):
    model = load(folder)
    model[2].activation_function = Activation(iter([1, 2]).__next__)
    assert module_fingerprint(model) is None
    assert weights_stamp(model) == weights_stamp(model)


def test_code_put_into_a_library_is_seen(folder, monkeypatch):
    model = load(folder)
    before, stamp = module_fingerprint(model), weights_stamp(model)

    def forward(self: Any, hidden_states: Any, *args: Any, **kwargs: Any) -> Any:
        return hidden_states

    monkeypatch.setattr(BertLayer, "forward", forward)
    assert module_fingerprint(model) != before
    assert weights_stamp(model) != stamp


def test_a_hook_of_all_modules_is_seen(folder):
    model = load(folder)
    before, stamp = module_fingerprint(model), weights_stamp(model)
    handle = nn.modules.module.register_module_forward_hook(shifted(1.0))
    try:
        assert module_fingerprint(model) != before
        assert weights_stamp(model) != stamp
    finally:
        handle.remove()
    assert module_fingerprint(model) == before


def test_the_tokenizer_of_every_route_counts(folder):
    def routed() -> Any:
        routes = {name: [load(folder)[0], Pooling(16)] for name in ("query", "document")}
        return SentenceTransformer(
            modules=[Router.for_query_document(*(routes["query"], routes["document"]))],
            device="cpu",
        )

    model = routed()
    before, stamp = module_fingerprint(model), weights_stamp(model)
    assert module_fingerprint(routed()) == before
    route = model[0].sub_modules["document"][0]
    route.tokenizer.truncation_side = "left"
    assert module_fingerprint(model) != before
    assert weights_stamp(model) != stamp
    other = routed()
    other[0].sub_modules["document"][0].tokenizer.add_tokens(["w1 w2"])
    assert module_fingerprint(other) not in {before, module_fingerprint(model)}
    mapped = routed()
    mapped[0].default_route = "query"
    assert module_fingerprint(mapped) != before


def static() -> Any:
    vocabulary = {"[UNK]": 0, **{word: at + 1 for at, word in enumerate(WORDS)}}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    torch.manual_seed(0)
    return SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu"
    ).eval()


def test_a_static_model_that_cuts_texts_is_another_one():
    model = static()
    before, stamp, embedded = module_fingerprint(model), weights_stamp(model), vectors(model)
    assert module_state(model) == []
    model.tokenizer.enable_truncation(2)
    assert not np.allclose(vectors(model), embedded)
    assert module_fingerprint(model) != before
    assert weights_stamp(model) != stamp


def test_quantised_weights_count_to_the_last(folder):
    def quantised(value: float) -> Any:
        linear = nn.Linear(64, 64)
        with torch.no_grad():
            linear.weight.copy_(torch.linspace(-1, 1, 4096).reshape(64, 64))
            linear.bias.zero_()
            linear.weight[32, 32] = value
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(linear), {nn.Linear})

    assert module_fingerprint(quantised(0.5)) == module_fingerprint(quantised(0.5))
    assert module_fingerprint(quantised(0.5)) != module_fingerprint(quantised(-0.5))


FAMILIES = ("bert", "xlm-roberta", "modernbert", "distilbert", "qwen2", "qwen3", "gemma3_text")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_as_its_files_describe_it_has_nothing_more_to_tell(tmp_path, family):
    """So its fingerprint, and what version 0.1 stored of it, are what they were."""
    sizes = {"vocab_size": 45, "hidden_size": 16, "num_hidden_layers": 2, "pad_token_id": 0}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8}
    if family == "distilbert":
        sizes = {"vocab_size": 45, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
        heads = {}
    write_bert_network(tmp_path)
    config = AutoConfig.for_model(family, **sizes, **heads, intermediate_size=32)
    AutoModel.from_config(config).save_pretrained(tmp_path)
    model = SentenceTransformer(str(tmp_path), device="cpu", local_files_only=True)
    assert module_state(model) == []
    vectors(model)
    assert module_state(model) == []


def test_a_model_of_all_usual_modules_has_nothing_more_to_tell(folder):
    model = load(folder)
    assert module_state(model) == []
    assert module_state(copy.deepcopy(model)) == []
    assert module_state(static()) == []


def test_a_changed_number_far_from_the_sampled_ones_changes_the_stamp():
    module = nn.Linear(500, 500)
    before = weights_stamp(module)
    with torch.no_grad():
        module.weight[123, 321] += 1
    assert weights_stamp(module) != before


def test_a_wrapper_with_a_function_put_into_it_is_told(folder):
    encoder = SentenceEncoder(load(folder))
    assert not is_patched(encoder)
    assert not is_patched(SentenceTransformerEncoderWrapper(load(folder)))
    encoder.text_batches = lambda texts, kind: iter([([0], np.zeros((1, 8), np.float32))])  # type: ignore[method-assign]
    assert is_patched(encoder)


def test_vectors_of_a_model_in_training_are_without_dropout(folder):
    model = load(folder)
    expected = TokenBudgetEncoder(model).encode(TEXTS)
    np.testing.assert_array_equal(TokenBudgetEncoder(model.train()).encode(TEXTS), expected)


def scaled_by(factor: float) -> Any:
    return lambda vectors, numbers, tensors: vectors * factor


def test_code_is_known_by_what_it_computes():
    assert code_of(scaled_by(2.0)) == code_of(scaled_by(2.0))
    assert code_of(scaled_by(2.0)) != code_of(scaled_by(3.0))
    assert code_of(iter([1]).__next__) is None
