"""Training-free debiasing: what the methods compute, and when which language's statistics apply."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from concept_erasure import LeaceFitter
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from hybridir_mteb.debias.detect import MACRO, detect, detectable, iso_639, language_codes
from hybridir_mteb.debias.fit import fit
from hybridir_mteb.debias.fitted import STATISTICS, FittedDebiaser, read_fitted
from hybridir_mteb.debias.methods import DEBIASERS
from hybridir_mteb.debias.text import (
    HELD_OUT_EVERY,
    FitText,
    check_text,
    evenly,
    file_text,
    make_text,
    ntrex_text,
)
from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    EmbeddingError,
    LeakError,
    PluginError,
    SettingError,
    UnknownNameError,
)
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.measures.probe import language_probe_accuracy
from hybridir_mteb.plugins.manager import load_plugins
from hybridir_mteb.plugins.specs import ROLES, DebiasData, Debiaser
from hybridir_mteb.training.leak import EvaluationTexts
from hybridir_mteb.training.recipe import Recipe
from hybridir_mteb.training.sources.ntrex import load_ntrex

METHOD = {debiaser.name: debiaser for debiaser in DEBIASERS}
CODES = ("de", "en", "fr")

Matrices = Mapping[str, Any]


def fitted(name: str, documents: Matrices, queries: Matrices | None = None, **options: Any) -> Any:
    """A debiaser fitted on embeddings; the queries' are the documents' unless given."""
    of_role = {
        role: {code: np.asarray(matrix, np.float64) for code, matrix in matrices.items()}
        for role, matrices in (("query", queries or documents), ("document", documents))
    }
    same = len({len(matrix) for matrix in of_role["document"].values()}) == 1
    return fit(METHOD[name], of_role, parallel=same, options=options)


def embeddings(seed: int, *, unit: bool = False, n: int = 40, dimension: int = 8) -> Matrices:
    """Parallel: a meaning of its own for each row, an offset for each language, a little noise."""
    rng = np.random.default_rng(seed)
    meaning = rng.standard_normal((n, dimension))
    out = {}
    for code in CODES:
        offset, noise = 3 * rng.standard_normal(dimension), rng.standard_normal((n, dimension))
        matrix = meaning + offset + 0.1 * noise
        out[code] = matrix / np.linalg.norm(matrix, axis=1, keepdims=True) if unit else matrix
    return out


# --- The methods, by hand ---


def test_centre_subtracts_the_mean_of_the_language():
    """English has its mean at (2, 0), German at (0, 3); between them lies (1, 1.5)."""
    debias = fitted("centre", {"en": [[1, 0], [3, 0]], "de": [[0, 2], [0, 4]]})
    vectors = np.array([[5, 1], [5, 1], [5, 1]])
    assert debias(vectors, ["en", "de", None], "document").tolist() == [[3, 1], [5, -2], [4, -0.5]]
    assert debias(vectors[:1], "fi", "query").tolist() == [[4, -0.5]]


def test_lir_removes_the_component_of_the_language():
    """English lies on the first axis, German on the second, and both together mostly there too."""
    debias = fitted("lir", {"en": [[1, 0], [2, 0]], "de": [[0, 3], [0, 4]]})
    vectors = np.array([[5, 1], [5, 1], [5, 1]])
    assert debias(vectors, ["en", "de", None], "query").tolist() == [[0, 1], [5, 0], [5, 0]]


def test_shift_moves_passages_towards_the_source_language():
    debias = fitted("shift", {"en": [[1, 0], [3, 0]], "de": [[1, 2], [3, 4]]})
    vectors = np.array([[5, 1], [5, 1], [5, 1]])
    shifted = debias(vectors, ["de", "en", None], "document")
    assert shifted.tolist() == [[5, -2], [5, 1], [5, 1]]
    assert debias(vectors, ["de", "en", None], "query").tolist() == vectors.tolist()
    german = fitted("shift", {"en": [[1, 0]] * 2, "de": [[1, 2]] * 2}, source="de")
    assert german(vectors, "en", "document").tolist() == [[5, 3]] * 3


def test_alpha_is_the_share_of_the_way_that_passages_are_moved():
    debias = fitted("shift", {"en": [[1, 0], [3, 0]], "de": [[1, 2], [3, 4]]}, alpha=0.5)
    vectors = np.array([[5, 1], [5, 1], [5, 1]])
    assert debias(vectors, ["de", "en", None], "document").tolist() == [[5, -0.5], [5, 1], [5, 1]]
    assert debias(vectors, ["de", "en", None], "query").tolist() == vectors.tolist()
    assert debias.options == {"source": "en", "alpha": 0.5}


def test_leace_makes_the_means_of_the_languages_equal():
    """The language is on the first axis alone, so that axis is set to its mean."""
    debias = fitted("leace", {"en": [[0, 1], [0, -1]], "de": [[2, 1], [2, -1]]})
    found = debias(np.array([[0, 1], [2, -1]]), [None, None], "document")
    np.testing.assert_allclose(found, [[1, 1], [1, -1]], atol=1e-6)


# --- Properties ---


@given(st.integers(0, 2**16))
def test_centred_languages_have_their_mean_at_zero(seed):
    texts = embeddings(seed)
    debias = fitted("centre", texts)
    for code in CODES:
        np.testing.assert_allclose(debias(texts[code], code, "query").mean(axis=0), 0, atol=1e-5)


@given(st.integers(0, 2**16), st.integers(1, 3))
def test_lir_is_idempotent_and_leaves_nothing_of_the_components(seed, k):
    texts = embeddings(seed)
    debias = fitted("lir", texts, k=k)
    components = debias.tensors["document"]["components"]
    assert components.shape == (len(CODES) + 1, k, 8)
    for at, code in enumerate(CODES):
        once = debias(texts[code], code, "document")
        np.testing.assert_allclose(once @ components[at].T, 0, atol=1e-4)
        np.testing.assert_allclose(debias(once, code, "document"), once, atol=1e-4)
        expected = np.linalg.svd(texts[code], full_matrices=False)[2][:k]
        np.testing.assert_allclose(np.abs(components[at]), np.abs(expected), atol=1e-4)


@given(st.integers(0, 2**16))
def test_shift_moves_each_mean_onto_the_source_and_leaves_queries(seed):
    texts = embeddings(seed)
    debias = fitted("shift", texts)
    for code in CODES:
        moved = debias(texts[code], code, "document").mean(axis=0)
        np.testing.assert_allclose(moved, texts["en"].mean(axis=0), atol=1e-5)
        raw = texts[code].astype(np.float32)
        assert debias(raw, code, "query").tobytes() == raw.tobytes()


@given(seed=st.integers(0, 2**16), unit=st.booleans(), alpha=st.sampled_from([0, 0.0, "0"]))
def test_alpha_0_changes_no_bit(seed, unit, alpha):
    texts = embeddings(seed, unit=unit)
    debias = fitted("shift", texts, alpha=alpha)
    raw = texts["de"].astype(np.float32)
    raw[0, :3] = 0.0, -0.0, np.float32(1e-40)
    for role in ROLES:
        assert debias(raw, "de", role).tobytes() == raw.tobytes()
        assert not debias.needs_languages(role)
    assert debias.fingerprint == fitted("shift", texts, alpha="0.0").fingerprint


@given(st.integers(0, 2**16), st.floats(0, 1))
def test_alpha_moves_each_mean_that_far(seed, alpha):
    texts = embeddings(seed)
    debias = fitted("shift", texts, alpha=alpha)
    start, goal = texts["de"].mean(axis=0), texts["en"].mean(axis=0)
    moved = debias(texts["de"], "de", "document").mean(axis=0)
    np.testing.assert_allclose(moved, start + alpha * (goal - start), atol=1e-5)


@pytest.mark.parametrize("alpha", [1, 1.0, "1", "1.0"])
def test_alpha_1_is_what_a_version_without_alpha_kept(alpha, tmp_path):
    texts = embeddings(3, unit=True)
    whole, usual = fitted("shift", texts, alpha=alpha), fitted("shift", texts)
    assert whole.options == usual.options == {"source": "en"}
    assert whole.fingerprint == usual.fingerprint
    expected = np.stack([texts[code].mean(axis=0) for code in CODES]) - texts["en"].mean(axis=0)
    assert usual.tensors["document"]["shift"][:3].tolist() == expected.astype(np.float32).tolist()
    half = fitted("shift", texts, alpha=0.5)
    half.save(tmp_path)
    again = read_fitted(tmp_path, installed_plugins().debiasers)
    assert again.options == {"source": "en", "alpha": 0.5}
    assert again.fingerprint == half.fingerprint != usual.fingerprint


@given(st.integers(0, 2**16))
def test_leace_is_the_eraser_of_concept_erasure(seed):
    texts = embeddings(seed)
    debias = fitted("leace", texts)
    stacked = torch.from_numpy(np.concatenate([texts[code] for code in CODES]))
    one_hot = torch.nn.functional.one_hot(torch.arange(3).repeat_interleave(40))
    expected = LeaceFitter.fit(stacked, one_hot.double()).eraser(stacked)
    np.testing.assert_allclose(debias(stacked.numpy(), None, "query"), expected, atol=1e-4)


def test_a_linear_probe_reads_no_language_after_leace():
    texts = embeddings(3, n=150)
    stacked = np.concatenate([texts[code] for code in CODES])
    languages = [code for code in CODES for _ in range(150)]
    items = [str(at) for _ in CODES for at in range(150)]
    assert language_probe_accuracy(stacked, languages, items) > 0.95
    erased = fitted("leace", texts)(stacked, None, "document")
    assert language_probe_accuracy(erased, languages, items) < 0.43


@pytest.mark.parametrize("name", METHOD)
@given(seed=st.integers(0, 2**16), unit=st.booleans())
def test_unit_length_is_kept_and_other_lengths_are_left(name, seed, unit):
    texts = embeddings(seed, unit=unit)
    debias = fitted(name, texts)
    assert debias.unit_length is unit
    out = debias(texts["de"], "de", "document")
    assert out.dtype == np.float32
    exact = METHOD[name].apply(texts["de"], np.zeros(40, np.int64), debias.tensors["document"])
    if unit:
        np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, atol=1e-5)
        exact = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(out, exact, atol=1e-5)


def test_a_vector_of_which_nothing_is_left_stays_zero():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 7, (9, 1))
    texts = {"en": np.tile([[0.6, 0.8]], (9, 1)), "de": np.hstack([np.cos(angle), np.sin(angle)])}
    debias = fitted("lir", texts)
    assert debias.unit_length
    assert debias(texts["en"][:1], "en", "query").tolist() == [[0, 0]]


def test_each_role_has_statistics_of_its_own():
    zero, one = np.zeros((2, 2)), np.ones((2, 2))
    debias = fitted("centre", {"en": zero, "de": zero}, {"en": one, "de": one})
    assert debias(one, "en", "query").tolist() == zero.tolist()
    assert debias(one, "en", "document").tolist() == one.tolist()


# --- What is refused ---


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.array([[np.nan] * 8]), "number 0 holds NaN"),
        (np.zeros((1, 7)), r"shape \(1, 7\), expected \(n, 8\)"),
        (np.zeros(8), "shape"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(vectors, message):
    with pytest.raises(EmbeddingError, match=message):
        fitted("centre", embeddings(0))(vectors, "en", "query")


def test_what_cannot_be_fitted_is_refused():
    texts = embeddings(0)
    with pytest.raises(SettingError, match=r"no option 'n'.*it has k"):
        fitted("lir", texts, n=1)
    for k in (0, 9, "one", 1.5, True):
        with pytest.raises(SettingError, match="k"):
            fitted("lir", texts, k=k)
    with pytest.raises(SettingError, match="source='fi' is not among"):
        fitted("shift", texts, source="fi")
    for alpha in (-0.1, 1.5, "1.01", "2", -1):
        with pytest.raises(SettingError, match=r"alpha of shift is .*: expected a number from"):
            fitted("shift", texts, alpha=alpha)
    for alpha in (np.nan, np.inf, "nan", "Auto", True, 10**400):
        with pytest.raises(SettingError, match=r"alpha of shift is of type float, .* 1\.0 or auto"):
            fitted("shift", texts, alpha=alpha)
    with pytest.raises(SettingError, match="line-parallel"):
        fitted("shift", {**texts, "en": texts["en"][1:]})
    with pytest.raises(EmbeddingError, match="query text in 'de'"):
        fitted("centre", {**texts, "de": np.full((40, 8), np.inf)})
    debias = fitted("centre", texts)
    with pytest.raises(SettingError, match="role 'passage'"):
        debias(texts["de"], "de", "passage")
    with pytest.raises(SettingError, match="2 languages for 40 texts"):
        debias(texts["de"], ["de", "en"], "query")


# --- Kept as a file ---


@pytest.mark.parametrize("name", METHOD)
def test_a_saved_debiaser_does_the_same_to_the_bit(name, tmp_path):
    texts = embeddings(1, unit=True)
    debias: FittedDebiaser = fitted(name, texts)
    debias.save(tmp_path)
    first = (tmp_path / STATISTICS).read_bytes()
    again = read_fitted(tmp_path, installed_plugins().debiasers)
    assert (again.languages, again.options) == (debias.languages, debias.options)
    for role in ROLES:
        one, other = (d(texts["fr"], "fr", role) for d in (debias, again))
        assert one.tobytes() == other.tobytes()
    again.save(tmp_path)
    assert (tmp_path / STATISTICS).read_bytes() == first


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dimension": "1_0"}, "dimension is '1_0'"),
        ({"dimension": True}, "dimension is True"),
        ({"dimension": 2.0}, r"dimension is 2\.0"),
        ({"unit_length": "false"}, "unit_length is 'false'"),
        ({"method": ["shift"]}, r"method is \['shift'\]"),
        ({"options": []}, r"options is \[\]"),
        ({"languages": "de"}, "languages is 'de'"),
        ({"languages": [3]}, "3 is no language or role"),
        ({"roles": [[]]}, r"\[\] is no language or role"),
    ],
)
def test_a_header_with_a_field_of_another_type_is_refused(tmp_path, change, said):
    fitted("shift", embeddings(0)).save(tmp_path)
    with safe_open(tmp_path / STATISTICS, "np") as file:
        header = json.loads(file.metadata()["hybridir"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for text, message in (
        (json.dumps({**header, **change}), said),
        ("[]", r"its header is \[\]"),
        ("{", "its header: not valid JSON"),
        ("[" * 100_000, "its header: JSON nested too deeply"),
    ):
        save_file(tensors, tmp_path / STATISTICS, {"hybridir": text})
        with pytest.raises(DataFormatError, match=message):
            read_fitted(tmp_path, installed_plugins().debiasers)


def test_a_file_that_is_no_debiaser_is_refused(tmp_path):
    with pytest.raises(DataFormatError, match="debiaser"):
        read_fitted(tmp_path, installed_plugins().debiasers)
    (tmp_path / STATISTICS).write_bytes(b"no tensors")
    with pytest.raises(DataFormatError, match="hybridir debias fit"):
        read_fitted(tmp_path, installed_plugins().debiasers)
    fitted("shift", embeddings(0)).save(tmp_path)
    raw = (tmp_path / STATISTICS).read_bytes()
    (tmp_path / STATISTICS).write_bytes(raw.replace(b"document.shift", b"docuwent.shift"))
    with pytest.raises(DataFormatError, match="no statistics of role document"):
        read_fitted(tmp_path, installed_plugins().debiasers)
    (tmp_path / STATISTICS).write_bytes(raw.replace(b'\\"shift\\"', b'\\"shaft\\"'))
    with pytest.raises(UnknownNameError, match="Did you mean shift"):
        read_fitted(tmp_path, installed_plugins().debiasers)


# --- Text ---


def test_ntrex_is_fitted_without_the_documents_that_training_holds_out(mirror):
    assert Recipe.model_fields["held_out_every"].default == HELD_OUT_EVERY
    corpus = load_ntrex(("de", "en"))
    order = list(dict.fromkeys(corpus.documents))
    kept = [at for at, name in enumerate(corpus.documents) if order.index(name) % 5 != 4]
    for limit in (7, 1000, 5000):
        step = max(1.0, len(kept) / limit)
        chosen = [kept[int(at * step)] for at in range(min(limit, len(kept)))]
        text = ntrex_text(["en", "de"], limit)
        assert text.languages == ("de", "en")
        assert text.parallel
        for code in text.languages:
            assert list(text.lines[code]) == [corpus.lines[code][at].strip() for at in chosen]
    assert len(ntrex_text().languages) == 25
    with pytest.raises(UnknownNameError, match="no language xx"):
        ntrex_text(["xx"])


def test_evenly_takes_from_the_whole_range():
    assert evenly(range(10), 3) == [0, 3, 6]
    assert evenly(range(3), 10) == [0, 1, 2]
    with pytest.raises(SettingError, match="at least 2"):
        evenly(range(3), 1)


def write(folder: Path, **texts: str) -> dict[str, Path]:
    files = {code: folder / f"{code}.txt" for code in texts}
    for code, path in files.items():
        path.write_bytes(texts[code].encode())
    return files


def test_files_of_one_length_are_parallel(tmp_path):
    files = write(tmp_path, de="eins\n\n drei \nvier\n", en="one\ntwo\nthree\u2028x\nfour")
    text = file_text(files)
    assert text.parallel
    assert text.lines == {"de": ("eins", "drei", "vier"), "en": ("one", "three\u2028x", "four")}
    assert text.source == "de=de.txt, en=en.txt"
    files = write(tmp_path, de="eins\n\n\nvier", en="one\n \ntwo", fr="un\ndeux\ntrois")
    text = file_text(files)
    assert not text.parallel
    assert text.lines["de"] == ("eins", "vier")
    assert text.lines["en"] == ("one", "two")
    assert file_text(files, ["en", "fr"], limit=2).lines["fr"] == ("un", "trois")
    assert file_text(files, ["en", "fr"]).parallel
    assert text.sha256() != file_text(files, ["en", "fr"]).sha256()


def test_files_that_cannot_be_used_are_named(tmp_path):
    files = write(tmp_path, de="eins\nzwei", en="one\ntwo", fr="\n\n\n")
    with pytest.raises(DataUnavailableError, match=r"no\.txt"):
        file_text({**files, "fi": tmp_path / "no.txt"})
    with pytest.raises(DataFormatError, match=r"fr\.txt: no text"):
        file_text(files)
    with pytest.raises(SettingError, match="names fi, for which"):
        file_text(files, ["fi"])
    with pytest.raises(SettingError, match="at least 2 languages"):
        file_text(files, ["en"])
    files["fr"].write_bytes(b"un\nd\xffeux")
    with pytest.raises(DataFormatError, match=r"fr\.txt:2: not UTF-8"):
        file_text(files)
    with pytest.raises(SettingError, match="unknown language code 'deu'"):
        make_text("here", {"deu": ["a", "b"], "en": ["a", "b"]}, parallel=True)
    with pytest.raises(SettingError, match="1 texts in 'de'"):
        make_text("here", {"de": ["a"], "en": ["a", "b"]}, parallel=False)
    with pytest.raises(SettingError, match="text 1 in 'de' is 7; give a string"):
        make_text("here", {"de": ["a", 7], "en": ["a", "b"]}, parallel=False)


@pytest.mark.slow
def test_evaluation_text_is_refused_unless_allowed(mirror):
    question = "How many points did the Panthers defense surrender?"  # of XQuAD
    text = FitText("mine.txt", {"de": ("Ja.", "Nein."), "en": ("Yes.", question)}, parallel=True)
    with pytest.raises(LeakError, match=r"mine\.txt:2 \(en\) occurs in XQuADR") as caught:
        check_text(text, allow=False)
    assert "--allow-leaks" in str(caught.value)
    assert "training" not in str(caught.value)
    known, leaks = check_text(text, allow=True)
    assert [leak.evaluation_set for leak in leaks] == ["XQuADR"]
    assert {"XQuADR", "MLQAR", "PocketQAR"} <= set(known.checked)


def test_a_leak_is_named_by_file_and_line_whatever_was_dropped(tmp_path, mirror, monkeypatch):
    known = EvaluationTexts()
    known.add("Set", ["This sentence is in an evaluation set."])
    monkeypatch.setattr("hybridir_mteb.debias.text.evaluation_texts", lambda: known)
    german = "\n".join(["", "Ja.", "Nein.", "", "Doch.", "Eben."])
    english = "\n".join(
        ["", "Yes.", "No.", "dropped", "Oh yes.", "This sentence is in an evaluation set."]
    )
    for other in (german, german + "\nNoch etwas."):  # parallel, and not
        files = write(tmp_path, de=other, en=english)
        with pytest.raises(LeakError, match=r"data: en\.txt:6 \(en\) occurs in Set\. Remove"):
            check_text(file_text(files), allow=False)
    files = write(tmp_path, de=german.replace("Ja", "This sentence is in an evaluation set"), en="")
    files["en"].write_text("\nno\nno\nno\nno\nno")
    (leak,) = check_text(file_text(files, limit=2), allow=True)[1]  # lines 2 and 5 of the file
    assert leak.item == "de.txt:2"
    corpus = ntrex_text(["de", "en"], 50)
    known.add("News", [corpus.lines["de"][7]])
    at = load_ntrex(("de", "en")).lines["de"].index(corpus.lines["de"][7]) + 1
    with pytest.raises(LeakError, match=rf"newstest2019-ref\.deu\.txt:{at} \(de\)"):
        check_text(corpus, allow=False)


def test_every_language_code_counts_and_varieties_are_one_language():
    two = ["a", "b"]
    text = make_text("here", {"nb": two, "ky": two, "ab": two, "arz": two}, parallel=True)
    assert text.languages == ("ab", "ar", "ky", "no")
    assert make_text("", {"nb": ["a"] * 2, "en": two}, parallel=True).lines["no"] == ("a", "a")
    for pair in ({"no": two, "nb": two}, {"ar": two, "arz": two}):
        with pytest.raises(SettingError, match="are one language here"):
            make_text("here", pair, parallel=True)
    for wrong in ("zxx", "german", "xx", ""):
        with pytest.raises(SettingError, match="unknown language code"):
            make_text("here", {wrong: two, "en": two}, parallel=True)
    assert detectable() - {"zxx"} <= language_codes()  # the codes are known without the detector
    assert language_codes() <= detectable() | set(MACRO) | set(iso_639())
    debias = fitted("centre", {"en": [[1, 0], [3, 0]], "no": [[0, 2], [0, 4]]})
    assert debias.numbers(["nb", "no", "en", "ky"], 4).tolist() == [1, 1, 0, -1]


def test_a_byte_order_mark_is_no_text_and_files_must_share_a_line(tmp_path):
    files = write(tmp_path, de="\ufeffeins\nzwei", en="one\ntwo")
    assert file_text(files).lines["de"] == ("eins", "zwei")
    files = write(tmp_path, de="eins\n\ndrei\n\n", en="\ntwo\n\nfour\n")
    with pytest.raises(DataFormatError, match="no line has text in all of them"):
        file_text(files)


# --- Languages of texts ---


def test_languages_are_detected_among_those_that_come_into_question():
    texts = ["Was ist Bernstein?", "What is amber?", "", "12345", "人工智能是什么?"]
    assert detect(texts) == ["de", "en", None, None, "zh"]
    assert detect(texts[:2], among=["de", "en"]) == ["de", "en"]
    assert detect(texts[1:3], among=["de", "fr"])[1] is None  # neither is likelier
    assert detect(texts[:2], among=["de", "tlh"]) == ["de", None]  # Klingon cannot be detected
    assert detect(["ما هو الكهرمان؟"], among=["ar", "en"]) == ["ar"]


# --- The hook ---


def test_a_third_party_debiaser_is_registered_and_a_wrong_one_refused():
    from toys.plugins import point

    from hybridir_mteb.plugins.hookspecs import hookimpl

    class Half:
        @hookimpl
        def register_debiasers(self, register: Any) -> None:
            register(Debiaser("half", "", "", lambda data, role: {}, lambda x, n, t: x / 2))
            register("no debiaser")

    plugins = load_plugins([point(Half())])
    assert list(plugins.debiasers) == ["half"]
    assert "must be a Debiaser" in plugins.problems[0]


def test_a_debiaser_gets_both_roles_its_options_and_numbers_of_languages():
    seen: list[Any] = []

    def fit_it(data: DebiasData, role: str) -> Mapping[str, Any]:
        seen.append((role, data.languages, data.parallel, dict(data.options), set(data.embeddings)))
        return {"count": np.array([len(data.languages)])}

    def apply_it(vectors: Any, numbers: Any, tensors: Any) -> Any:
        seen.append((numbers.tolist(), tensors["count"].tolist(), vectors.dtype))
        return vectors

    debiaser = Debiaser("mine", "", "", fit_it, apply_it, {"a": 1.0, "b": ("x",), "c": False})
    of_role = dict.fromkeys(ROLES, embeddings(0))
    given_ = {"a": "2", "b": "y, z", "c": "true"}
    debias = fit(debiaser, of_role, parallel=True, options=given_)
    options = {"a": 2.0, "b": ("y", "z"), "c": True}
    assert seen[:2] == [(role, CODES, True, options, set(ROLES)) for role in ("document", "query")]
    tried = ([0, 0, 0, 1, 1, 1, 2, 2, 2], [-1] * 9)  # on a few embeddings of each language
    assert seen[2:] == [(numbers, [3], np.float64) for _ in ROLES for numbers in tried]
    debias(np.zeros((4, 8), np.float32), ["fr", "xx", None, "de"], "query")
    assert seen[-1] == ([2, -1, -1, 0], [3], np.float64)


def boom(*arguments: Any) -> Any:
    raise IndexError("out of range")


@pytest.mark.parametrize(
    ("error", "message", "fit_it", "apply_it"),
    [
        (PluginError, "debiaser mine: fit fails for role document: IndexError", boom, boom),
        (PluginError, "debiaser mine: apply fails on document.*IndexError", lambda d, r: {}, boom),
        (PluginError, "fit returned list", lambda d, r: [], boom),
        (PluginError, "fit returned 'a' of type list", lambda d, r: {"a": [1.0]}, boom),
        (PluginError, "fit returned 1 of", lambda d, r: {1: np.zeros(1)}, boom),
        (PluginError, "'a' of type complex", lambda d, r: {"a": np.zeros(1, complex)}, boom),
        (PluginError, "'a' of type <U1", lambda d, r: {"a": np.array(["x"])}, boom),
        (EmbeddingError, "mine returned shape", lambda d, r: {}, lambda x, n, t: x[:, :1]),
        (EmbeddingError, "mine returned list", lambda d, r: {}, lambda x, n, t: x.tolist()),
        (EmbeddingError, "mine returned complex", lambda d, r: {}, lambda x, n, t: x * 1j),
        (EmbeddingError, "debiased by mine.*NaN", lambda d, r: {}, lambda x, n, t: x * np.nan),
    ],
)
def test_a_debiaser_that_fails_is_named_before_anything_is_kept(error, message, fit_it, apply_it):
    debiaser = Debiaser("mine", "", "", fit_it, apply_it)
    with pytest.raises(error, match=message):
        fit(debiaser, dict.fromkeys(ROLES, embeddings(0)), parallel=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Centre"}, "'Centre': the name must"),
        ({"name": "a+b"}, "name must"),
        ({"name": "a/b"}, "name must"),
        ({"name": "1a"}, "name must"),
        ({"name": ""}, "name must"),
        ({"roles": frozenset()}, "mine: roles"),
        ({"roles": frozenset({"passage"})}, "mine: roles"),
        ({"roles": "document"}, "mine: roles"),
        ({"fit": None}, "mine: fit must be a function"),
        ({"apply": "x"}, "mine: apply must be a function"),
    ],
)
def test_a_debiaser_that_cannot_work_is_refused(changes, message):
    parts = {"name": "mine", "summary": "", "source": "", "fit": boom, "apply": boom, **changes}
    with pytest.raises(PluginError, match=message):
        Debiaser(**parts)


def test_a_debiaser_without_statistics_is_kept_and_others_keep_their_file(tmp_path, monkeypatch):
    debiaser = Debiaser("half", "", "", lambda data, role: {}, lambda x, n, t: x / 2)
    debias = fit(debiaser, dict.fromkeys(ROLES, embeddings(0)), parallel=True)
    debias.save(tmp_path)
    plugins = load_plugins([])
    plugins.debiasers.add("half", debiaser, "test")
    again = read_fitted(tmp_path, plugins.debiasers)
    assert again.tensors == {"query": {}, "document": {}}
    assert again(np.ones((1, 8)), "de", "query").tolist() == [[0.5] * 8]
    # A key more in the header would change fingerprints of encoders that exist.
    fitted("centre", embeddings(0)).save(tmp_path)
    with safe_open(tmp_path / STATISTICS, "np") as file:
        header = json.loads(file.metadata()["hybridir"])
    assert set(header) == {"method", "languages", "options", "dimension", "unit_length"}


def test_lengths_that_arithmetic_in_bf16_leaves_count_as_one():
    texts = embeddings(0, unit=True)
    assert fitted("centre", {code: 1.006 * matrix for code, matrix in texts.items()}).unit_length
    assert not fitted("centre", {c: 1.02 * matrix for c, matrix in texts.items()}).unit_length
