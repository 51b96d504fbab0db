"""Encoders of every kind on streamed tasks: debiased, interrupted, and in bounded memory."""

import sys
from typing import Any

import numpy as np
import pytest
from toys import TESTS
from toys.cli import succeed
from toys.encoders import HashEncoder
from toys.mteb import evaluate, scores_of
from toys.streamed import DISTINCT, MONO, MULTI, WORDS, in_memory, task_of, toy_part, toy_spec

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb import shards as mteb_streamed_pool
from hybridir_mteb.adapters.mteb.models import DebiasedEncoder
from hybridir_mteb.debias.fitted import FittedDebiaser
from hybridir_mteb.measures.measure import evaluate_measures
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.plugins.specs import Debiaser
from hybridir_mteb.ranking.shards.listing import clear_shards, shard_files

MEANS = {
    "query": np.random.default_rng(1).normal(size=(2, 16)).astype(np.float32),
    "document": np.random.default_rng(2).normal(size=(2, 16)).astype(np.float32),
}


def centring(scale: float = 0.3, **changes: Any) -> FittedDebiaser:
    """Subtracts another vector for each language and role."""
    debiaser = Debiaser(
        "centring",
        "",
        "",
        lambda data, role: {},
        lambda vectors, numbers, tensors: vectors - tensors["means"][numbers],
        **changes,
    )
    tensors = {role: {"means": scale * means} for role, means in MEANS.items()}
    return FittedDebiaser(debiaser, ("sw", "yo"), tensors, {}, 16, unit_length=True)


@pytest.mark.parametrize("name", [MONO, MULTI])
def test_a_debiased_encoder_is_debiased_by_the_language_of_each_passage(name, tmp_path):
    parts = {code: toy_part(code) for code in WORDS}
    base, fitted = HashEncoder(), centring()

    def debiased(text: str, code: str, role: str) -> np.ndarray:
        return fitted(base.embed(text)[None], code, role)[0]

    model = DebiasedEncoder(base, fitted)
    found = scores_of(evaluate(model, [task_of(name, toy_spec(parts))], tmp_path))
    setting = Setting.MONOLINGUAL if name == MONO else Setting.MULTILINGUAL
    for code in parts:
        spoken = (code,) if name == MONO else tuple(sorted(parts))
        table, _ = in_memory(debiased, parts, code, spoken)
        expected = evaluate_measures(task_of(name).measures, table, setting)
        given = {k: found[code][k] for k in ("map", "ndcg_at_10", "mrr", "recall_at_5")}
        assert given == pytest.approx({k: expected[k] for k in given}, abs=1e-6)


def test_queries_in_another_language_than_the_passages_are_debiased_by_their_own(tmp_path):
    parts = {"sw": toy_part("sw")}
    base, fitted = HashEncoder(), centring(2.0)

    def debiased(text: str, code: str, role: str) -> np.ndarray:
        return fitted(base.embed(text)[None], "yo" if role == "query" else code, role)[0]

    spec = toy_spec(parts, task="Crossed", settings=(Setting.MONOLINGUAL,), query_languages=("yo",))
    found = scores_of(
        evaluate(DebiasedEncoder(base, fitted), [task_of("Crossed", spec)], tmp_path)
    )["default"]
    table, _ = in_memory(debiased, parts, "sw", ("sw",))
    expected = evaluate_measures(task_of(MONO).measures, table, Setting.MONOLINGUAL)
    assert found["map"] == pytest.approx(expected["map"], abs=1e-6)


def test_debiasing_does_not_encode_again_and_is_kept_by_its_statistics(tmp_path):
    base = HashEncoder()
    evaluate(base, [task_of(MONO)], tmp_path / "a")
    assert base.passages_seen() == DISTINCT
    scores = {
        scale: scores_of(
            evaluate(DebiasedEncoder(base, centring(scale)), [task_of(MONO)], tmp_path / str(scale))
        )
        for scale in (0.3, 3.0)
    }
    assert base.passages_seen() == DISTINCT
    assert scores[0.3] != scores[3.0]
    assert len(shard_files(paths.shard_dir())) == 6  # two languages, three encoders


def test_a_debiaser_of_queries_alone_uses_the_base_encoders_shards(tmp_path):
    queries = centring(roles=frozenset({"query"}))
    evaluate(DebiasedEncoder(HashEncoder(), queries), [task_of(MONO)], tmp_path)
    assert len(shard_files(paths.shard_dir())) == 2


def test_an_interrupted_run_goes_on_with_the_next_shard(tmp_path, monkeypatch):
    monkeypatch.setattr(mteb_streamed_pool, "ROWS", 8)
    part = toy_part("sw")
    alone = toy_spec({"sw": part}, settings=(Setting.MONOLINGUAL,))

    class Killed(HashEncoder):
        def encode(self, inputs: Any, *, prompt_type: Any = None, **kwargs: Any) -> np.ndarray:
            if prompt_type.value == "document" and self.passages_seen() >= 16:
                raise KeyboardInterrupt
            return super().encode(inputs, prompt_type=prompt_type, **kwargs)

    killed = Killed()
    with pytest.raises(KeyboardInterrupt):
        evaluate(killed, [task_of(MONO, alone)], tmp_path / "a")
    done = killed.passages_seen()
    assert 16 <= done < 30
    (files,) = shard_files(paths.shard_dir())
    assert (files.complete, files.passages) == (False, 24 if done > 16 else 16)
    again = Killed()  # the same kind of encoder, now long enough alive
    resumed = scores_of(evaluate(again, [task_of(MONO, alone)], tmp_path / "b"))
    assert again.passages_seen() <= 30 - files.passages
    assert clear_shards(paths.shard_dir()) > 0
    fresh = scores_of(evaluate(HashEncoder(), [task_of(MONO, alone)], tmp_path / "c"))
    assert resumed == fresh


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
from mteb.types import PromptType
from toys.encoders import HashEncoder
from toys.mteb import evaluate, scores_of
from toys.streamed import CARD, task_of
from hybridir_mteb.collections.collection import CollectionPart, StreamedPassage
from hybridir_mteb.plugins.specs import CollectionSpec

class Endless:
    name = "Long"
    def __init__(self, n):
        self.n, self.fingerprint = n, str(n)
    def passages(self, start=0, stop=None):
        for at in range(start, self.n if stop is None else min(stop, self.n)):
            yield StreamedPassage(str(at), f"{at} " + "x" * 4000)

class Quick(HashEncoder):
    def prompt(self, role):
        return ""
    def text_batches(self, texts, role):
        for start in range(0, len(texts), 256):
            part = texts[start : start + 256]
            numbers = np.array([int(t.split()[0]) for t in part])
            vectors = np.cos(np.outer(numbers + 1, np.arange(1, 9))).astype(np.float32)
            yield range(start, start + len(part)), vectors

for n in (10_000, 30_000):
    part = CollectionPart("sw", {"q": "5 x"}, {"q": {"5": 1}}, Endless(n))
    load = {"sw": part}.__getitem__
    spec = CollectionSpec("Streamed", ("sw",), load, CARD, split="dev", parallel=False)
    out = Path(sys.argv[2]) / str(n)
    task = task_of("StreamedMonolingualRetrieval", spec)
    score = scores_of(evaluate(Quick(), [task], out, prediction_folder=out))["sw"]
    print(n, score["n_passages"], score["mrr"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path):
    """30,000 passages of 4,000 characters, 120 MB, are never in memory together."""
    done = succeed(sys.executable, "-c", MEMORY, TESTS, tmp_path)
    small, large = (line.split() for line in done.stdout.strip().splitlines()[-2:])
    assert (small[1], large[1]) == ("10000", "30000")
    assert float(large[2]) == 1.0
    grown_mb = (int(large[3]) - int(small[3])) / 1024
    assert grown_mb < 40, f"{small[3]} KB, then {large[3]} KB"
