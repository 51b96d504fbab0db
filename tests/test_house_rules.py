"""Rules of the house that no linter knows."""

import ast
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from toys import REPOSITORY

PACKAGE = "hybridir_mteb"
LONGEST_MODULE, SHORTEST_MODULE = 400, 40
LONGEST_FUNCTION, MOST_PARAMETERS = 50, 6
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(work|tmp|root|home|Users)/\w")
SECTION = re.compile(r"^(?:Args|Attributes):\n((?: +.*\n?|\n)*)", re.MULTILINE)
ENTRY = re.compile(r"^    (\*{0,2}\w+): (.*(?:\n        .*)*)", re.MULTILINE)
# A single word, in whatever brackets, or words that point elsewhere; a literal may stand alone.
SAYS_NOTHING = re.compile(r"(?!``)(\S+|As (given|there|above)\.)")
# What the command line and the signatures of hosts ask for.
PERMITTED = {
    "adapters/mteb/task.py:_evaluate_subset",
    "adapters/sentence_transformers.py:__init__",
    "cli/bias.py:bias",
    "cli/compare.py:compare",
    "cli/data.py:add",
    "cli/debias.py:fit",
    "cli/encode.py:encode",
    "cli/evaluate.py:evaluate",
    "cli/plan.py:plan",
    "cli/scaling.py:scaling",
    "cli/search.py:search",
    "cli/train.py:train",
}


# Who may call Python's reader of JSON: what it reads, the package or a library wrote just before.
JSON_READERS = {
    "encoders/fingerprint.py",
    "files/record.py",
}


@cache
def sources() -> dict[str, str]:
    """Name -> text of every module; names of the package are relative to it."""
    roots = ((REPOSITORY / PACKAGE, ""), (REPOSITORY / "tasks", "tasks/"))
    found = [
        (path, f"{prefix}{path.relative_to(r)}") for r, prefix in roots for path in r.rglob("*.py")
    ]
    found += [(path, str(path.relative_to(REPOSITORY))) for path in REPOSITORY.glob("docs/**/*.py")]
    return {name: path.read_text(encoding="utf-8") for path, name in found}


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for name, text in sources().items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                yield f"{name}:{node.name}", node


def entry_points() -> set[str]:
    """The modules that are plugins."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    targets = project["entry-points"][PACKAGE].values()
    return {target.removeprefix(f"{PACKAGE}.").replace(".", "/") + ".py" for target in targets}


def empty_texts(docstring: str) -> list[str]:
    """Parameters of which a docstring says nothing."""
    entries = [entry for section in SECTION.findall(docstring) for entry in ENTRY.findall(section)]
    return [name for name, text in entries if SAYS_NOTHING.fullmatch(" ".join(text.split()))]


def test_a_module_has_one_job_and_fits_on_a_few_screens():
    lengths = {name: len(text.splitlines()) for name, text in sources().items()}
    assert len(lengths) > 150
    assert [name for name, n in lengths.items() if n > LONGEST_MODULE] == []
    short = {name for name, n in lengths.items() if n < SHORTEST_MODULE}
    plain = {name for name in short if Path(name).name not in {"__init__.py", "__main__.py"}}
    assert {n for n in plain if not n.startswith("docs/")} - entry_points() == set()


def test_numpy_is_imported_before_its_parts():
    """``import numpy.typing`` does not wait for a thread that imports numpy, and then fails."""
    parts = re.compile(r"^(?:import|from) numpy\.", re.MULTILINE)
    early = {
        name
        for name, text in sources().items()
        if (found := parts.search(text)) and "\nimport numpy as np\n" not in text[: found.start()]
    }
    assert early == set()


def json_calls(text: str) -> list[str]:
    """Calls of ``json.load`` and ``json.loads``, by whatever import."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == "json":
            found += [alias.name for alias in node.names if alias.name in {"load", "loads"}]
        if isinstance(node, ast.Attribute) and node.attr in {"load", "loads"}:
            found += [node.attr] if ast.unparse(node.value) == "json" else []
    return found


def test_json_is_read_by_the_one_reader():
    """``files/json_text.py`` names file and line, and refuses what Python takes for JSON."""
    callers = {name for name, text in sources().items() if json_calls(text)}
    assert {name for name in callers if not name.startswith("docs/")} - JSON_READERS == set()


def test_a_call_of_pythons_reader_is_seen():
    assert json_calls("import json\njson.loads(text)\n") == ["loads"]
    assert json_calls("from json import load\n") == ["load"]
    assert json_calls("read = json.load\n") == ["load"]
    assert json_calls("import yaml\nyaml.load(text)\njson.dumps({})\n") == []


def test_a_function_fits_on_a_screen():
    long = {n for n, node in functions() if node.end_lineno - node.lineno >= LONGEST_FUNCTION}
    assert long - PERMITTED == set()


def test_a_function_has_few_parameters():
    many = set()
    for name, node in functions():
        of = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        if len([one for one in of if one not in {"self", "cls"}]) > MOST_PARAMETERS:
            many.add(name)
    assert many - PERMITTED == set()


def test_docstrings_say_what_parameters_are():
    found: Counter[str] = Counter()
    for name, text in sources().items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found[name] += len(empty_texts(ast.get_docstring(node) or ""))
    assert +found == Counter()


def test_a_text_that_says_nothing_is_seen():
    texts = ("It.", "MTEB's.", "As given.", "(n,).", "Commit.", "The model.", "``a/<b>``.")
    lines = "\n".join(f"    x{at}: {text}" for at, text in enumerate(texts))
    assert empty_texts(f"Do it.\n\nArgs:\n{lines}\n") == ["x0", "x1", "x2", "x3", "x4"]


def test_no_file_names_a_machine_path():
    done = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    paths = [REPOSITORY / name for name in done.stdout.splitlines()]
    named = [
        f"{path.name}: {match.group()}"
        for path in paths
        if path.suffix in {".py", ".md", ".toml", ".json", ".txt", ".yml"}
        and path.is_file()
        and path != Path(__file__)
        for match in [MACHINE_PATH.search(path.read_text(encoding="utf-8"))]
        if match
    ]
    assert named == []
