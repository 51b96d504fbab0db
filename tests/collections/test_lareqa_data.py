"""XQuAD-R and MLQA-R against their official counts (README.md of the data mirror)."""

import json
from collections import Counter
from pathlib import Path

import pytest

from hybridir_mteb.collections.collection import ParallelCollection
from hybridir_mteb.plugins.specs import CollectionSpec
from hybridir_mteb.tasks.mlqa_r import MLQA_R
from hybridir_mteb.tasks.xquad_r import XQUAD_R

# Language -> questions and candidate sentences.
XQUAD_R_COUNTS = {
    "ar": (1190, 1222),
    "de": (1190, 1276),
    "el": (1190, 1234),
    "en": (1190, 1180),
    "es": (1190, 1215),
    "hi": (1190, 1244),
    "ru": (1190, 1219),
    "th": (1190, 852),
    "tr": (1190, 1167),
    "vi": (1190, 1209),
    "zh": (1190, 1196),
}
MLQA_R_COUNTS = {
    "ar": (517, 2545),
    "de": (512, 2362),
    "en": (1148, 6264),
    "es": (500, 1787),
    "hi": (507, 2426),
    "vi": (511, 2828),
    "zh": (504, 2322),
}
# In one Turkish paragraph of XQuAD-R upstream garbled a character of the paragraph, but not of its
# sentences.
GARBLED, MEANT = "\u00e2\u0081\u201e", "\u205e"


@pytest.fixture(scope="module")
def mirrored(data_dir: Path):
    """The mirror of this run, and none other, even where another test changed the variable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRIDIR_DATA_DIR", str(data_dir))
        yield


@pytest.fixture(scope="module")
def xquad_r(mirrored) -> ParallelCollection:
    return XQUAD_R.load(XQUAD_R.languages)


@pytest.fixture(scope="module")
def mlqa_r(mirrored) -> ParallelCollection:
    return MLQA_R.load(MLQA_R.languages)


def counts(collection: ParallelCollection) -> dict[str, tuple[int, int]]:
    return {
        code: (len(part.queries), len(part.passages)) for code, part in collection.parts.items()
    }


def ids(collection: ParallelCollection, language: str) -> set[str]:
    return {query.parallel_id for query in collection.part(language).queries}


def test_xquad_r_has_its_official_counts(xquad_r):
    assert counts(xquad_r) == XQUAD_R_COUNTS


def test_mlqa_r_has_its_official_counts(mlqa_r):
    assert counts(mlqa_r) == MLQA_R_COUNTS


def test_every_xquad_r_question_exists_in_all_languages_with_one_relevant_sentence_in_each(xquad_r):
    expected = ids(xquad_r, "en")
    assert len(expected) == 1190
    for code in XQUAD_R_COUNTS:
        relevant = xquad_r.part(code).relevant_by_parallel_id
        assert set(relevant) == expected
        assert {len(positions) for positions in relevant.values()} == {1}


def test_mlqa_r_questions_are_partly_parallel(mlqa_r):
    found = Counter(identifier for code in mlqa_r.languages for identifier in ids(mlqa_r, code))
    assert len(found) == 1148
    assert Counter(found.values()) == {4: 820, 3: 263, 2: 65}
    assert set(found) == ids(mlqa_r, "en"), "every question exists in English"


def test_every_mlqa_r_query_has_one_relevant_sentence_in_its_own_language(mlqa_r):
    for part in mlqa_r.parts.values():
        assert {len(query.relevant) for query in part.queries} == {1}


def answers(data_dir: Path, spec: CollectionSpec, language: str) -> dict[str, tuple[str, str]]:
    """Question id -> the answer, and the text from the answer's first character on."""
    (path,) = [data_dir / file.path for file in spec.files if Path(file.path).stem == language]
    document = json.loads(path.read_text(encoding="utf-8"))
    return {
        question["id"]: (answer["text"], paragraph["context"][answer["answer_start"] :])
        for article in document["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
        for answer in question["answers"]
    }


@pytest.mark.parametrize(("spec", "running_on"), [(XQUAD_R, 112), (MLQA_R, 25)])
def test_the_relevant_sentence_contains_the_beginning_of_the_answer(
    data_dir, mirrored, spec, running_on
):
    """All of it, but for the few answers that run on into the next sentence."""
    collection = spec.load(spec.languages)
    incomplete = 0
    for code, part in collection.parts.items():
        expected = answers(data_dir, spec, code)
        for query in part.queries:
            answer, rest = expected[query.parallel_id]
            assert rest.startswith(answer)
            answer = answer.replace(GARBLED, MEANT)
            sentence = part.passages[query.relevant[0]].text
            whole = answer in sentence
            incomplete += not whole
            assert whole or any(
                sentence.endswith(answer[:length]) for length in range(len(answer), 0, -1)
            )
    assert incomplete == running_on


def test_the_paragraph_of_a_candidate_contains_it(xquad_r, mlqa_r):
    for collection in (xquad_r, mlqa_r):
        for part in collection.parts.values():
            for passage in part.passages:
                assert passage.text in passage.context.replace(GARBLED, MEANT)


def test_distinct_texts_are_those_counted_from_the_files(xquad_r, mlqa_r):
    """26,104 queries and passages of XQuAD-R, of which an encoder sees 26,021 different ones."""

    def occurrences_and_distinct(collection: ParallelCollection) -> tuple[int, int]:
        pairs = [
            (role, one.text)
            for part in collection.parts.values()
            for role, things in (("query", part.queries), ("passage", part.passages))
            for one in things
        ]
        return len(pairs), len(set(pairs))

    assert occurrences_and_distinct(xquad_r) == (26_104, 26_021)
    assert occurrences_and_distinct(mlqa_r) == (24_733, 24_695)


def test_the_pinned_checksums_are_those_of_the_mirror(data_dir):
    sums = {}
    for line in (data_dir / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, path = line.split(maxsplit=1)
        sums[path.removeprefix("*").removeprefix("./")] = digest
    for spec, n_files in ((XQUAD_R, 11), (MLQA_R, 7)):
        pinned = {file.path: file.sha256 for file in spec.files}
        assert len(pinned) == n_files
        assert pinned == {path: sums.get(path) for path in pinned}


@pytest.mark.parametrize(
    ("spec", "folder", "commit"),
    [
        (XQUAD_R, "xquad-r", "9bc8c7fb6dd8d01d72a05a93c2cb96882b0d299c"),
        (MLQA_R, "mlqa-r", "354d67d1cd066854cdfbf5ad0e6105528976141d"),
    ],
)
def test_every_file_is_pinned_to_a_commit_of_the_lareqa_repository(spec, folder, commit):
    base = "https://raw.githubusercontent.com/google-research-datasets/lareqa"
    assert [(file.path, file.url) for file in spec.files] == [
        (f"{folder}/{code}.json", f"{base}/{commit}/{folder}/{code}.json")
        for code in spec.languages
    ]


def test_only_the_languages_asked_for_are_read(mirrored):
    assert XQUAD_R.load(["th", "de"]).languages == ("de", "th")
