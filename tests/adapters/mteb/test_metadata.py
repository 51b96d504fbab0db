"""What MTEB's own tests ask of the metadata of tasks and benchmarks, of all that are registered."""

import re
import sys
from typing import Any

import mteb
import pytest
from descriptive_stats import chosen
from toys.card import CARD

from hybridir_mteb.adapters.mteb.metadata import bibtex, task_metadata
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.plugins.settings import Context, Setting
from hybridir_mteb.plugins.specs import CollectionSpec
from hybridir_mteb.results.benchmarks import BENCHMARKS, HYBRIDIR
from hybridir_mteb.tasks.miracl import UPSTREAM

TASKS = [task for _, task in register().tasks.items()]
FIELD = re.compile(r"  ([a-z]+) = \{.*\},")
TITLE = re.compile(r"^@\w+\{([^,\s]+),$.*?^ *title *= *\{(.*?)\},$", re.MULTILINE | re.DOTALL)


def citations() -> dict[str, str]:
    """Of our tasks and benchmarks, those that have one."""
    found = {task.metadata.name: task.metadata.bibtex_citation for task in TASKS}
    found |= {name: mteb.get_benchmark(name).citation for name in (HYBRIDIR, *BENCHMARKS)}
    return {name: text for name, text in found.items() if text}


def well_formed(citation: str) -> bool:
    """As MTEB's writer would print it: two spaces, a line for a field, all in order."""
    keys = []
    for entry in citation.split("\n\n"):
        head, *fields, end = entry.split("\n")
        start = re.fullmatch(r"@[a-z]+\{([^,\s]+),", head)
        found = [FIELD.fullmatch(line) for line in fields]
        if start is None or end != "}" or not all(found):
            return False
        names = [one[1] for one in found if one]
        if names != sorted(set(names)):
            return False
        keys.append(start[1].lower())
    return keys == sorted(set(keys))


def entries(citation: str) -> dict[str, str]:
    """Key -> title, in letters and digits alone."""
    return {key: re.sub(r"[\W_]", "", title).lower() for key, title in TITLE.findall(citation)}


def test_every_citation_is_as_mtebs_writer_prints_it():
    found = citations()
    assert len(found) > 50
    assert [name for name, text in found.items() if not well_formed(text)] == []


def test_a_wrapped_field_or_one_out_of_order_is_seen():
    good = "@misc{a,\n  author = {A},\n  year = {1},\n}"
    assert well_formed(good)
    assert not well_formed(good.replace("{A}", "{A and\n            B}"))
    assert not well_formed("@misc{a,\n  year = {1},\n  author = {A},\n}")
    assert not well_formed(f"{good.replace('{a,', '{b,')}\n\n{good}")
    assert well_formed(bibtex(f"\n{good.replace('{a,', '{b,')}\n\n\n{good}\n"))
    assert bibtex("") == ""


def test_a_paper_has_one_key_in_mteb_and_here():
    registry: Any = sys.modules["mteb.get_tasks"]
    ours = {task.metadata.name for task in TASKS}
    theirs: dict[str, set[str]] = {}
    for name, task in registry._TASKS_REGISTRY.items():
        if name not in ours:
            for key, title in entries(task.metadata.bibtex_citation or "").items():
                theirs.setdefault(title, set()).add(key)
    known = {key: title for title, keys in theirs.items() for key in keys}
    shared = 0
    for name, citation in citations().items():
        for key, title in entries(citation).items():
            assert key in theirs.get(title, {key}), name
            assert known.get(key, title) == title, name
            shared += title in theirs
    assert shared > 30  # MIRACL, BEIR and its translations


def test_names_are_unique_and_their_statistics_are_there():
    names = [task.metadata.name for task in TASKS]
    registry: Any = sys.modules["mteb.get_tasks"]
    assert len(names) == len(set(names))
    assert all(
        registry._TASKS_REGISTRY[name] is task for name, task in zip(names, TASKS, strict=True)
    )
    without = {task.metadata.name for task in TASKS if task.metadata.n_samples is None}
    assert without == set(chosen(hub=True))  # make stats-hub counts them
    assert len(without) == 6 * 2 * 3


@pytest.mark.parametrize("setting", [Setting.MONOLINGUAL, Setting.MULTILINGUAL])
def test_statistics_of_miracl_are_those_of_its_files(setting):
    task = next(t for t in TASKS if t.spec.name == "MIRACL" and t.setting is setting)
    counts = task.metadata.descriptive_stats["dev"]
    theirs = mteb.get_task("MIRACLRetrieval").metadata.descriptive_stats["dev"]
    assert counts["num_queries"] == theirs["num_queries"]
    assert counts["queries_text_statistics"] == theirs["queries_text_statistics"]
    passages = {code: known.passages for code, known in UPSTREAM.items()}
    of_subset = {
        code: found["num_documents"]
        for code, found in counts["hf_subset_descriptive_stats"].items()
    }
    pool = sum(passages.values())
    if setting is Setting.MULTILINGUAL:  # each language's queries are asked of the one pool
        assert of_subset == dict.fromkeys(passages, pool)
        pool *= len(passages)
    else:
        assert of_subset == passages
    assert counts["num_documents"] == pool


def test_a_plugin_has_its_statistics_in_a_folder_of_its_own(tmp_path):
    spec = CollectionSpec("Toy", ("de", "en"), dict, CARD, statistics=tmp_path)
    metadata = task_metadata(spec, Setting.MULTILINGUAL, Context.SENTENCE)
    assert metadata.descriptive_stats is None
    file = tmp_path / "ToyMultilingualRetrieval.json"
    file.write_text('{"test": {"num_samples": 3}}', encoding="utf-8")
    assert metadata.model_copy(deep=True).n_samples == {"test": 3}
