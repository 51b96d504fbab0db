"""Fingerprints: equal for equal weights, different for anything that changes embeddings."""

import copy
import sys

import pytest
import torch
from tokenizers import models
from torch import nn
from toys.cli import succeed
from toys.sentence import Shapes

from hybridir_mteb.encoders import values
from hybridir_mteb.encoders.fingerprint import module_fingerprint, weights_stamp

BUILD = """
import torch
from torch import nn

def build():
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.LayerNorm(3))
    with torch.no_grad():
        for at, parameter in enumerate(network.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape) / (at + 7))
    return network
"""


def build() -> nn.Sequential:
    names: dict[str, object] = {}
    exec(BUILD, names)
    return names["build"]()  # type: ignore[operator,no-any-return]


def test_a_deep_copy_has_the_same_fingerprint():
    network = build()
    assert module_fingerprint(copy.deepcopy(network)) == module_fingerprint(network)


def test_reading_weights_back_gives_the_same_fingerprint():
    network, other = build(), build()
    nn.init.zeros_(other[0].weight)
    assert module_fingerprint(other) != module_fingerprint(network)
    other.load_state_dict(network.state_dict())
    assert module_fingerprint(other) == module_fingerprint(network)


@pytest.mark.parametrize("name", sorted(build().state_dict()))
def test_the_last_bit_of_any_weight_counts(name):
    network = build()
    before = module_fingerprint(network)
    flat = network.state_dict()[name].view(-1)
    flat[-1] = torch.nextafter(flat[-1], torch.tensor(torch.inf))
    assert module_fingerprint(network) != before


def test_the_type_of_the_weights_counts():
    prints = {
        module_fingerprint(build().to(dtype))
        for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16)
    }
    assert len(prints) == 4


def test_bfloat16_weights_have_a_fingerprint_of_their_own_values():
    one, same, other = (build().to(torch.bfloat16) for _ in range(3))
    with torch.no_grad():
        other[0].bias[0] += 1
    assert module_fingerprint(one) == module_fingerprint(same)
    assert module_fingerprint(one) != module_fingerprint(other)


def test_the_structure_counts_where_the_weights_are_equal():
    network = build()
    changed = nn.Sequential(network[0], nn.Tanh(), network[2])
    assert network.state_dict().keys() == changed.state_dict().keys()
    assert module_fingerprint(network) != module_fingerprint(changed)


def test_exchanged_weights_of_two_equal_layers_count():
    one, two = nn.Linear(3, 3), nn.Linear(3, 3)
    assert module_fingerprint(nn.Sequential(one, two)) != module_fingerprint(
        nn.Sequential(two, one)
    )


def test_the_layout_in_memory_does_not_count():
    network = build()
    before = module_fingerprint(network)
    network[0].weight = nn.Parameter(network[0].weight.detach().T.contiguous().T)
    assert not network[0].weight.is_contiguous()
    assert module_fingerprint(network) == before


class Buffers(nn.Module):
    """A scalar, an empty tensor, booleans, and state that is no tensor."""

    def __init__(self, scalar: float, mask: bool, extra: str) -> None:
        super().__init__()
        self.register_buffer("scalar", torch.tensor(scalar))
        self.register_buffer("empty", torch.empty(0))
        self.register_buffer("mask", torch.tensor([True, mask]))
        self.extra = extra

    def get_extra_state(self) -> str:
        return self.extra

    def set_extra_state(self, state: str) -> None:
        self.extra = state


def test_buffers_of_every_kind_count():
    settings = [(1.0, True, "x"), (2.0, True, "x"), (1.0, False, "x"), (1.0, True, "y")]
    assert len({module_fingerprint(Buffers(*setting)) for setting in settings}) == 4
    assert module_fingerprint(Buffers(*settings[0])) == module_fingerprint(Buffers(*settings[0]))


@pytest.mark.parametrize("size", [1, 5, 8, 10**6])
def test_the_size_of_the_pieces_does_not_count(monkeypatch, size):
    expected = module_fingerprint(build())
    monkeypatch.setattr(values, "PIECE_BYTES", size)
    assert module_fingerprint(build()) == expected


@pytest.mark.slow
def test_another_process_computes_the_same_fingerprint():
    script = (
        f"{BUILD}\nfrom hybridir_mteb.encoders.fingerprint import module_fingerprint\n"
        "print(module_fingerprint(build()))"
    )
    done = succeed(sys.executable, "-c", script, PYTHONHASHSEED="7")
    assert done.stdout.strip() == module_fingerprint(build())


def test_a_setting_that_is_in_no_parameter_changes_the_fingerprint():
    """The number of attention heads: same shapes, same weights, other embeddings."""
    from transformers import BertConfig, BertModel

    sizes = {"vocab_size": 11, "hidden_size": 8, "num_hidden_layers": 1, "intermediate_size": 8}
    few = BertModel(BertConfig(num_attention_heads=2, **sizes))
    many = BertModel(BertConfig(num_attention_heads=4, **sizes))
    many.load_state_dict(few.state_dict())
    assert module_fingerprint(few) != module_fingerprint(many)


def test_a_stamp_sees_training_and_is_otherwise_the_same():
    module = torch.nn.Linear(50, 50)
    before = weights_stamp(module)
    assert weights_stamp(module) == before
    module.weight.data += 1e-3  # as a merge does, past every version counter
    assert weights_stamp(module) != before


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int64])
def test_a_stamp_sees_one_number_that_torch_does_not_count(dtype):
    """Else vectors of the old weights come back, and a new store is filled under the old name."""
    module = torch.nn.Module()
    module.weight = torch.nn.Parameter(torch.ones(50, 50).to(dtype), requires_grad=False)
    before = weights_stamp(module)
    module.weight.data[3, 3] += 1
    assert weights_stamp(module) != before


def test_a_stamp_sees_an_exchanged_activation():
    """Classes without attributes, under one name."""
    module = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    before = weights_stamp(module)
    module[1] = nn.Sigmoid()
    assert weights_stamp(module) != before


@pytest.mark.parametrize("change", ["a token more", "another vocabulary"])
def test_a_stamp_sees_a_tokenizer_that_was_changed_in_place(change, tmp_path):
    model = Shapes(tmp_path).made["mean"]()
    before = weights_stamp(model)
    model.encode(["a text", "another one"])  # sets truncation and padding
    assert weights_stamp(model) == before
    if change == "a token more":
        model.tokenizer.add_tokens(["Turm"])
    else:
        backend = model.tokenizer.backend_tokenizer
        words = {word: at for at, word in enumerate(sorted(backend.get_vocab(), reverse=True))}
        backend.model = models.BPE(vocab=words, merges=[])
    assert weights_stamp(model) != before
