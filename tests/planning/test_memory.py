"""Memory of a device: by hand to the byte, against what PyTorch keeps, and what never rises."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys.planning import TINY, TINY_CONFIG, kept_by_torch

from hybridir_mteb.encoders import token_budget
from hybridir_mteb.planning import corpus, memory
from hybridir_mteb.planning.job import Job
from hybridir_mteb.planning.machines import MACHINES, Machine
from hybridir_mteb.planning.memory import Sharding, held, kept
from hybridir_mteb.planning.networks import of_config
from hybridir_mteb.training import by_length

GPU = MACHINES["h100"]
CPU = Machine("cpu", 1e10, 1e11, 1e11, 1e10, gpu=False)


def total(job: Job, sharding: Sharding = Sharding.COPIES, devices: int = 1) -> float:
    return memory.of_training(job, GPU, sharding, devices).total


def test_a_tiny_decoder_by_hand_to_the_byte():
    """Hidden 8, two heads of 4, one of keys, feed-forward 16, vocabulary 10, two layers, rank 2."""
    matrices = 2 * (8 * 8 + 2 * 8 * 4 + 8 * 8 + 3 * 8 * 16)
    others = 10 * 8 + 2 * 2 * 8 + 8  # table, norms of layers, last norm
    adapters = 2 * 2 * ((8 + 8) + 2 * (8 + 4) + (8 + 8) + 3 * (8 + 16))
    assert TINY.parameters == matrices + others
    assert TINY.published == TINY.parameters + 10 * 8
    assert TINY.trained(2) == adapters
    assert TINY.trained(None) == TINY.parameters
    job = Job(TINY, batch=4, tokens=5, rank=2)
    found = memory.of_training(job, GPU, Sharding.COPIES, 1)
    assert found.weights == 2 * (matrices + others)
    assert found.adapters == 4 * adapters
    assert found.gradients == 4 * adapters
    assert found.optimiser == 8 * adapters
    assert found.logits == 0
    # Of a token and layer: two norms in float32; inputs of products; queries, keys, values; seven
    # adapters of rank 2; gate, its activation, and what it multiplies.
    of_token = 4 * 2 * 8 + 2 * (8 + 8 + 8 + 16) + 2 * 3 * 8 + 2 * 2 * 7 + 2 * 3 * 16
    assert found.activations == 2 * 4 * 5 * 2 * of_token
    assert found.embeddings == 4 * (8 * 2 * 8 + 3 * 4 * 4)
    assert found.working == 4 * 5 * of_token


def test_full_training_sharding_and_four_bits_by_hand():
    whole = memory.of_training(Job(TINY, 4, 5, half=False), CPU, Sharding.COPIES, 1)
    assert (whole.weights, whole.adapters) == (4 * TINY.parameters, 0)
    assert whole.gradients + whole.optimiser == 12 * TINY.parameters
    job = Job(TINY, 4, 5, rank=2)
    copies = memory.of_training(job, GPU, Sharding.COPIES, 4)
    shards = memory.of_training(job, GPU, Sharding.SHARDS, 4)
    assert shards.weights == copies.weights / 4
    assert copies.gradients == 2 * 4 * shards.gradients  # DDP copies them into buckets
    assert shards.working - copies.working == 2 * (TINY.matrices + TINY.tables)
    packed = memory.of_training(replace(job, four_bit=True), GPU, Sharding.COPIES, 1)
    others = TINY.parameters - TINY.matrices
    assert packed.weights == pytest.approx(TINY.matrices * 0.51587 + 2 * others, abs=0.1)
    assert packed.working - 2 * 8 * 16 == copies.working


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("family", ["bert", "llama", "gemma3_text"])
def test_a_layer_keeps_what_pytorch_keeps(family, half, dropout):
    """Adapters in float32, arithmetic in float32 or under autocast in bf16, on a processor."""
    config = {**TINY_CONFIG, "model_type": family, "hidden_size": 64, "intermediate_size": 160}
    network = of_config(
        config | ({"layer_norm_eps": 1} if family == "bert" else {"rms_norm_eps": 1}), "toy"
    )
    job = Job(network, 4, 24, rank=4, half=half, dropout=dropout)
    found = kept_by_torch(family, config, job)
    assert kept(network.block, job, held(job, CPU), CPU) == pytest.approx(found, rel=0.06)


@given(
    st.integers(2, 64), st.integers(1, 64), st.integers(1, 32), st.booleans(), st.integers(1, 99)
)
def test_what_never_needs_more(batch, mini_batch, rank, checkpointing, devices):
    job = Job(TINY, batch, 16, rank=rank, checkpointing=checkpointing)
    cached = replace(job, mini_batch=mini_batch)
    assert total(cached) <= total(job) or mini_batch > batch
    assert total(replace(cached, checkpointing=True)) <= total(replace(cached, checkpointing=False))
    for sharding in Sharding:
        more = total(job, sharding, max(2, devices) + 1)
        assert more <= total(job, sharding, max(2, devices))
    gathering = replace(job, gathers=True)
    assert total(gathering, devices=devices) >= total(job, devices=devices)
    large = replace(job, network=LARGE)
    assert total(replace(large, four_bit=True)) < total(large)


LARGE = replace(TINY, layers=100)  # else what is unpacked for a product outweighs the rest


def test_what_is_known_without_torch_is_what_the_code_does():
    """The planner imports no torch, so it repeats three numbers of modules that do."""
    assert memory.ROWS == by_length.ROWS
    budgets = {True: token_budget.GPU_TOKEN_BUDGET, False: token_budget.CPU_TOKEN_BUDGET}
    assert budgets == corpus.BUDGET
