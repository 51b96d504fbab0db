"""Passages encoded ahead, in one process or by others, and found by the runs that follow."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toys.cluster import contents
from toys.encoders import HashEncoder, WordSearch, hash_embedding
from toys.mteb import evaluate
from toys.streamed import MONO, MULTI, task_of

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb import encoding, shards
from hybridir_mteb.errors import ClusterError, EmbeddingError, SettingError
from hybridir_mteb.ranking.shards.maker import Filling


@pytest.fixture
def model(monkeypatch):
    """The encoder that any name stands for."""
    model = HashEncoder()
    monkeypatch.setattr(encoding, "chosen_task", lambda name, options: task_of(name))
    monkeypatch.setattr(encoding, "finder", lambda *_: model)
    monkeypatch.setattr(shards, "ROWS", 8)
    encoding._loaded.cache_clear()
    return model


def elsewhere(there, folder, expected):
    """Have shards made by two workers that were told what to do, and nothing else."""
    filling, makers = Filling(folder), [there(), there()]
    for number in filling.numbers():
        filling.take(number, makers[number % 2](number))
    filling.finish()


def test_what_is_encoded_ahead_here_or_elsewhere_is_the_same_and_is_found(
    model, tmp_path, monkeypatch
):
    for name, fill in (("here", None), ("elsewhere", elsewhere)):
        monkeypatch.setenv("HYBRIDIR_SHARD_DIR", str(tmp_path / name))
        found = dict(encoding.encode("e", MULTI, {}, fill))
        assert {code: folder.n_passages for code, folder in found.items()} == {"sw": 30, "yo": 30}
    assert contents(tmp_path / "here") == contents(Path(tmp_path / "elsewhere"))
    seen = model.passages_seen()
    assert dict(encoding.encode("e", MULTI, {}, pytest.fail)).keys() == {"sw", "yo"}  # no work left
    run = HashEncoder()
    evaluate(run, [task_of(MONO), task_of(MULTI)], tmp_path / "out")
    assert model.passages_seen() == seen + 2  # texts that told the width
    assert run.passages_seen() == 0


def test_passages_that_were_encoded_to_a_url_are_found_by_machines_with_other_disks(
    model, tmp_path, monkeypatch
):
    monkeypatch.setenv("HYBRIDIR_SHARD_DIR", f"memory://{tmp_path.name}/shards")
    monkeypatch.setenv("HYBRIDIR_CACHE_DIR", str(tmp_path / "one"))
    list(encoding.encode("e", MONO, {}))
    seen = model.passages_seen()
    monkeypatch.setenv("HYBRIDIR_CACHE_DIR", str(tmp_path / "two"))
    list(encoding.encode("e", MONO, {}))
    assert model.passages_seen() == seen + 2  # texts that told the width
    assert contents(tmp_path / "one" / "shards") == contents(tmp_path / "two" / "shards")


def test_a_url_that_is_a_folder_of_this_machine_is_that_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HYBRIDIR_SHARD_DIR", f"file://{tmp_path}/shards")
    assert (paths.shard_dir(), paths.shard_url()) == (tmp_path / "shards", None)
    monkeypatch.setenv("HYBRIDIR_SHARD_DIR", "s3://bucket/shards/")
    assert (paths.shard_dir(), paths.shard_url()) == (
        paths.cache_dir() / "shards",
        "s3://bucket/shards",
    )


def test_a_worker_with_other_passages_or_another_encoder_is_refused(model):
    def other(there, folder, expected):
        there = replace(there, digest="0" * 64)
        there()

    with pytest.raises(ClusterError, match="another e or other passages of Toy sw"):
        list(encoding.encode("e", MONO, {}, other))


@pytest.mark.parametrize("fill", [None, elsewhere])
def test_a_passage_whose_embedding_is_no_number_is_named(model, monkeypatch, fill):
    bad = task_of(MONO).spec.read(["sw"])["sw"].passages.rows[9]
    monkeypatch.setattr(
        model, "embed", lambda text: hash_embedding(text) * (np.nan if text == bad.content else 1)
    )
    with pytest.raises(EmbeddingError, match=f"^passage '{bad.id}' of Toy sw: .* NaN or infinity"):
        list(encoding.encode("e", MONO, {}, fill))


def test_an_encoder_that_others_cannot_tell_apart_is_not_shared_out(model):
    del model.embedding_fingerprint
    with pytest.raises(SettingError, match="no fingerprint"):
        list(encoding.encode("e", MONO, {}, elsewhere))


def test_a_model_that_searches_by_itself_has_nothing_to_encode(model, monkeypatch):
    monkeypatch.setattr(encoding, "finder", lambda *_: WordSearch())
    with pytest.raises(SettingError, match="searches by itself"):
        list(encoding.encode("e", MONO, {}))


def test_workers_elsewhere_compute_in_what_auto_is_here(model, monkeypatch):
    """On their processors it may be something else, and vectors of two kinds would be mixed."""
    monkeypatch.setattr(encoding, "settled", lambda asked, of: {"auto": "bf16"}.get(asked, asked))
    told = []

    def elsewhere(there, folder, expected):
        told.append(there.options["precision"])

    for asked in ("auto", "fp32"):
        list(encoding.encode("e", MONO, {"precision": asked}, elsewhere))
    assert told == ["bf16", "bf16", "fp32", "fp32"]
