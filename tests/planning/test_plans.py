"""Shapes, costs, ways to share a run, machines, and the command."""

import json
from dataclasses import replace

import pytest
from toys.cli import pipe, run
from toys.planning import TINY, TINY_CONFIG

from hybridir_mteb.adapters.mteb.shards import ROWS
from hybridir_mteb.errors import DataUnavailableError, SettingError
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.planning import choice, corpus, cost, shapes
from hybridir_mteb.planning.job import Job, steps_of
from hybridir_mteb.planning.machines import MACHINES, THIS, Machine, machine_of
from hybridir_mteb.planning.memory import Sharding
from hybridir_mteb.planning.networks import of_config
from hybridir_mteb.plugins.specs import Backbone
from hybridir_mteb.tasks.miracl import UPSTREAM
from hybridir_mteb.training.recipe import make_recipe

PUBLISHED = {
    "pocket": 117_505_920,
    "muse": 68_927_232,
    "gemma3-270m": 268_098_176,
    "qwen2.5-7b": 7_615_616_512,
    "qwen2.5-72b": 72_706_203_648,
    "mistral-7b": 7_248_023_552,
    "llama3.1-8b": 8_030_261_248,
    "llama3.1-70b": 70_553_706_496,
}
MINE = {"memory_gb": 10, "bf16_tflops": 1, "fp32_tflops": 1, "bandwidth_gb_s": 100, "price": 2.0}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_those_that_the_makers_count(name):
    backbone = installed_plugins().backbones[name]
    network = shapes.network_of(backbone, None)
    assert network.published == PUBLISHED[name]
    assert network.published == pytest.approx(backbone.parameters, rel=0.005)
    if backbone.trained:
        assert network.trained(None) == backbone.trained


def test_every_backbone_has_a_shape_but_for_that_which_has_no_weights():
    for name, backbone in installed_plugins().backbones.items():
        if name != "decoder":
            assert shapes.network_of(backbone, None).exact
    with pytest.raises(SettingError, match="give its weights"):
        shapes.network_of(installed_plugins().backbones["decoder"], None)
    mine = Backbone("mine", "a/b", parameters=20_000, layers=1, hidden=16)
    guessed = shapes.network_of(mine, None)
    assert not guessed.exact
    assert guessed.parameters == 20_000


def test_weights_that_are_given_are_what_counts(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({**TINY_CONFIG, "rms_norm_eps": 1e-6}))
    large = installed_plugins().backbones["llama3.1-70b"]
    assert shapes.network_of(large, str(tmp_path)) == TINY
    with pytest.raises(SettingError, match="type 'mamba' cannot be planned"):
        of_config({"model_type": "mamba"}, "here")
    with pytest.raises(SettingError, match="hidden_size is 'a'"):
        of_config({**TINY_CONFIG, "rms_norm_eps": 1, "hidden_size": "a"}, "here")
    (tmp_path / "config.json").unlink()
    with pytest.raises(DataUnavailableError, match=r"has no config\.json"):
        shapes.network_of(large, str(tmp_path))


def test_operations_by_hand():
    weights = 8 * 8 + 2 * 8 * 4 + 8 * 8 + 3 * 8 * 16
    attention = 4 * 5 * 5 * 2 * 8
    once = 5 * 2 * 2 * weights + attention
    assert cost.forward(TINY, 5) == once
    texts = 2 * 4
    whole = Job(TINY, 4, 5)
    assert cost.step_flops(whole) == texts * (3 * once)
    adapters = 2 * 5 * TINY.trained(2)
    lora = Job(TINY, 4, 5, rank=2)
    assert cost.step_flops(lora) == texts * (2 * once + attention + 3 * adapters)
    twice = replace(lora, checkpointing=True, accumulation=3)
    assert cost.step_flops(twice) == 3 * texts * (3 * once + attention + 4 * adapters)
    cached = replace(lora, mini_batch=1)
    assert cost.step_flops(cached) - cost.step_flops(lora) == texts * (once + adapters)
    taught = replace(lora, taught=2)
    assert cost.step_flops(taught) - cost.step_flops(lora) == 2 * 4 * once


def test_seventy_billion_parameters_fit_sharded_or_in_four_bits():
    network = shapes.network_of(installed_plugins().backbones["llama3.1-70b"], None)
    job = Job(network, 16, 256, mini_batch=4, checkpointing=True, rank=16, steps=10)
    alone = choice.ways(job, MACHINES["h100"], 1)
    assert [(way.sharding, way.job.four_bit, way.fits) for way in alone] == [
        (Sharding.COPIES, False, False),
        (Sharding.COPIES, True, True),
    ]
    node = choice.ways(job, MACHINES["h100-8"], 8)
    assert [way.fits for way in node] == [False, True, True]
    assert choice.chosen(node) == node[1]
    assert choice.fewest(job, MACHINES["h100"]) in {2, 4}
    assert choice.fewest(replace(job, tokens=10**7), MACHINES["l4"]) is None
    slow = replace(MACHINES["a100-80"], network=1e9)
    assert choice.way(job, slow, Sharding.SHARDS, 64).cost.waiting > 0  # for other nodes' weights
    assert choice.way(job, slow, Sharding.SHARDS, 8).cost.waiting == 0
    priced = replace(MACHINES["h100"], price=3.0)
    spent = choice.way(job, priced, Sharding.SHARDS, 8).cost
    assert spent.money == pytest.approx(spent.seconds * 10 / 3600 * 8 * 3)


def test_a_corpus_is_encoded_by_all_devices():
    assert corpus.MIRACL_TEXTS.passages == sum(known.passages for known in UPSTREAM.values())
    network = shapes.network_of(installed_plugins().backbones["llama3.1-70b"], None)
    one, eight, many = (
        corpus.encoding(network, corpus.MIRACL_TEXTS, MACHINES["h100"], n) for n in corpus.DEVICES
    )
    assert (one.fits, eight.fits, eight.together) == (False, True, 3)
    assert eight.seconds == pytest.approx(8 * many.seconds)
    assert many.disk == 106_332_152 * 8192 * 4


def test_what_a_cluster_needs_depends_on_passages_and_width_alone():
    assert corpus.ROWS == ROWS
    network = shapes.network_of(installed_plugins().backbones["pocket"], None)
    small, large = (
        corpus.sharing(network, replace(corpus.MIRACL_TEXTS, passages=n)) for n in (ROWS, 9 * ROWS)
    )
    assert (small.shards, large.shards) == (1, 9)
    assert small.shard == pytest.approx(ROWS * 384 * 4, rel=0.05)
    assert (small.shard, small.worker) == (large.shard, large.worker)
    assert large.driver - small.driver == 8 * corpus.OF_SHARD


def test_steps_come_from_the_recipe_or_from_what_its_data_say():
    fields = {"backbone": "pocket", "method": "mono", "batch_size": 10, "held_out_every": 0}
    assert steps_of(make_recipe({**fields, "steps": 7}), 4) == 7
    assert steps_of(make_recipe(fields), 2, items=100) == 5
    hub = {"kind": "hub", "name": "a/b", "configurations": {"en": "e"}, "split": "train[:200]"}
    assert steps_of(make_recipe({**fields, "data": [hub]}), 1) == 20
    assert steps_of(make_recipe({**fields, "data": [hub], "held_out_every": 2}), 1) == 10
    with pytest.raises(SettingError, match="give --items or --steps"):
        steps_of(make_recipe(fields), 1)


@pytest.mark.parametrize("suffix", ["json", "yaml", "toml"])
def test_users_have_machines_of_their_own(suffix, tmp_path):
    file = tmp_path / f"machines.{suffix}"
    lines = [f"{name} = {value}" for name, value in MINE.items()]
    toml = "\n".join(["[mine]", *lines])
    file.write_text(toml if suffix == "toml" else json.dumps({"mine": MINE}))
    found = machine_of("mine", file)
    assert (found.memory, found.bf16, found.price) == (10e9, 1e12, 2.0)
    assert machine_of("l4", file) == MACHINES["l4"]


def test_a_machine_that_cannot_be_is_one_line(tmp_path, failure):
    file = tmp_path / "machines.yaml"
    file.write_text(json.dumps({"mine": {**MINE, "memory_gb": -1}}))
    said = failure("plan", "llm-7b", "--machine", "mine", "--machines", str(file))
    assert "mine.memory_gb: Input should be greater than 0" in said
    file.write_text("- a")
    assert "expected a table of machines" in failure(
        "plan", "llm-7b", "--machine", "mine", "--machines", str(file)
    )
    said = failure("plan", "llm-7b", "--machine", "h10")
    assert said.startswith("error: unknown machine 'h10'. Did you mean h100")
    assert said.count("\n") == 1
    assert "--devices is 0" in failure("plan", "llm-7b", "--devices", "0")
    assert "give a recipe" in failure("plan")
    assert "unknown task 'SciFakt'" in failure("plan", "llm-7b", "--tasks", "SciFakt")


def test_a_machine_may_reach_another_share_of_its_peak_in_bf16():
    same = Machine("m", 1e9, bf16=100, fp32=10, bandwidth=1, efficiency=0.5)
    assert (same.reached(half=True), same.reached(half=False)) == (50, 5)
    other = replace(same, efficiency_in_bf16=0.25)
    assert (other.reached(half=True), other.reached(half=False)) == (25, 5)


def test_the_processor_at_hand_is_measured():
    found = machine_of(THIS)
    assert isinstance(found, Machine)
    assert not found.gpu
    assert min(found.memory, found.bf16, found.fp32, found.bandwidth) > 1e6


def test_a_plan_is_shown_and_written(tmp_path, monkeypatch):
    pipe(monkeypatch)
    target = tmp_path / "plan.json"
    wanted = ("--machine", "h100-8", "--price", "2.5", "--json", str(target))
    shown = run("plan", "llm-70b-bf16", *wanted, "--tasks", "SciFact,PocketQARMonolingualRetrieval")
    for said in ("69.5 G parameters", "70.6 G with the output head", "sharded (FSDP2)", "SciFact"):
        assert said in shown
    assert "arXiv 1910.02054" in " ".join(shown.split())
    found = json.loads(target.read_text())
    training = found["training"]
    assert training["parameters"] == 69_503_033_344
    assert (training["devices"], training["chosen"]) == (8, "sharded (FSDP2)")
    assert {of["logits"] for of in training["memory"].values()} == {0.0}
    assert training["ways"][1]["money"] > 0
    assert [row["texts"]["passages"] for row in found["encoding"][:3]] == [5183] * 3
