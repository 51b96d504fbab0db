"""What installing, using and removing the distribution does, in throw-away virtual environments.

An environment sees the packages of the current one, all but ours, through a folder of symlinks, so
that only this distribution has to be installed. Nothing needs a network.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from toys.offline import HERE

import hybridir_mteb

pytestmark = pytest.mark.venv

REPOSITORY = Path(__file__).parent.parent
EXAMPLE = "docs/examples/hybridir-mteb-example"
STARTUP_FILES = ("hybridir_mteb.pth", "hybridir_mteb.start")
LANGUAGES = {"ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"}
TIMEOUT_S = 300

Output = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    root: Path

    @property
    def site_packages(self) -> Path:
        variables = {"base": str(self.root), "platbase": str(self.root)}
        return Path(sysconfig.get_path("purelib", "venv", variables))

    @property
    def scripts(self) -> Path:
        return self.root / "bin"

    def run(self, program: str, *arguments: str, **variables: str) -> Output:
        """Run one of the environment's programs; its failure is the test's, with all output."""
        variables["HYBRIDIR_CACHE_DIR"] = str(self.root / "cache")
        variables["HYBRIDIR_MODEL_STORE"] = str(self.root / "encoders")
        return run(self.scripts / program, *arguments, cwd=self.root, **variables)

    def python(self, code: str, *options: str, **variables: str) -> Output:
        return self.run("python", *options, "-c", code, **variables)

    def install(self, *what: str) -> None:
        self.run("python", "-m", "pip", "install", "--no-deps", "--no-build-isolation", *what)


def run(*command: str | Path, cwd: Path, **variables: str) -> Output:
    """Run a command without the variables that would change what is under test."""
    foreign = ("PYTHON", "HYBRIDIR", "MTEB", "PIP_", "VIRTUAL_ENV")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    offline = {"HF_HUB_OFFLINE": "1", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    offline["PYTHONPATH"] = str(HERE)  # nobody reaches another machine
    done = subprocess.run(
        [str(part) for part in command],
        env={**inherited, **offline, **variables},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{command} returned {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all files of the checkout that git does not ignore, as a repository."""
    copy = tmp_path_factory.mktemp("source")
    listing = run("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=REPOSITORY).stdout
    for name in filter(None, listing.split("\0")):
        if (REPOSITORY / name).is_file():  # not one that was just deleted
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, copy / name)
    author = ("-c", "user.name=tests", "-c", "user.email=tests@localhost", "-c", "gc.auto=0")
    for words in (("init", "-q"), ("add", "-A"), (*author, "commit", "-q", "-m", "All files")):
        run("git", *words, cwd=copy)
    return copy


@pytest.fixture(scope="session")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the copy."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--wheel", "--no-isolation", "--outdir", folder)
    run(sys.executable, "-m", "build", *options, source, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Links to everything that is installed here, except this distribution."""
    # dill takes modules for the user's own, and pickles them whole, outside of such a folder.
    folder = tmp_path_factory.mktemp("dependencies") / "site-packages"
    folder.mkdir()
    for site in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(site).iterdir():
            if not entry.name.lower().lstrip("_").startswith("hybridir"):
                (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture(scope="session")
def new_environment(
    source: Path, wheel: Path, dependencies: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Environment]:
    """Makes an environment in which the distribution is installed."""

    def make(kind: str) -> Environment:
        made = Environment(tmp_path_factory.mktemp(kind))
        has_pip = importlib.util.find_spec("pip") is not None  # then it is among the links
        venv.create(made.root, symlinks=True, with_pip=not has_pip)
        (made.site_packages / "dependencies.pth").write_text(f"{dependencies}\n")
        script = made.scripts / "mteb"  # as pip writes it
        script.write_text(
            f"#!{made.scripts}/python\nimport sys\nfrom mteb.cli import main\nsys.exit(main())\n"
        )
        script.chmod(0o755)
        made.install(*(["-e", str(source)] if kind == "editable" else [str(wheel)]))
        return made

    return make


@pytest.fixture(scope="module", params=["wheel", "editable"])
def environment(
    request: pytest.FixtureRequest, new_environment: Callable[[str], Environment]
) -> Environment:
    """An environment that tests share, so none of them may change it."""
    return new_environment(request.param)


TASKS = [
    f"{collection}{setting}{context}Retrieval"
    for collection in ("PocketQAR", "XQuADR", "MLQAR")
    for setting in ("Monolingual", "CrossLingual", "Multilingual")
    for context in ("", "InContext")
]

SHOW = ("available-tasks", "-t", "XQuADRCrossLingualRetrieval")
SHOWN = "XQuADRCrossLingualRetrieval, t2t, multilingual 110 / 110 Subsets"

# Run after something else to see that this did not keep the plugin from registering.
REGISTERED = f"""
import mteb
names = {TASKS}
assert [task.metadata.name for task in mteb.get_tasks(tasks=names)] == names
loader = mteb.get_model_meta("hybridir/pocket-base").loader
assert loader.__module__.startswith("hybridir_mteb.adapters.mteb."), loader
assert len(mteb.get_benchmark("HybridIR").tasks) == 6
"""

HIDDEN = """
import sys, mteb
assert not [name for name in sys.modules if name.startswith("hybridir")]
greek = {task.metadata.name for task in mteb.get_tasks(languages=["ell"])}
assert "XQuADRetrieval" in greek and "XQuADRMonolingualRetrieval" not in greek
benchmarks = {benchmark.name for benchmark in mteb.get_benchmarks()}
assert "MTEB(eng, v2)" in benchmarks and "HybridIR" not in benchmarks
from mteb.models.model_implementations import MODEL_REGISTRY
assert "intfloat/multilingual-e5-small" in MODEL_REGISTRY
assert not [name for name in MODEL_REGISTRY if name.startswith("hybridir/")]
"""


def test_wheel_content(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    version = wheel.name.split("-")[1]
    top = {name.split("/")[0] for name in names}
    assert top == {"hybridir_mteb", *STARTUP_FILES, f"hybridir_mteb-{version}.dist-info"}
    assert "hybridir_mteb/py.typed" in names
    assert "hybridir_mteb/tasks/xquad_r.py" in names
    data = "hybridir_mteb/data/pocketqa-r"
    assert {n for n in names if n.startswith(data) and n.endswith(".jsonl")} == {
        f"{data}/{language}.jsonl" for language in LANGUAGES
    }
    for file in (
        "encyclopaedia/passages.jsonl.gz",
        "encyclopaedia/README.md",
        "families.toml",
        "mteb-results/record.json",
        "mteb-results/scores.csv.gz",
    ):
        assert f"hybridir_mteb/data/{file}" in names
    for part in ("page.html", "page.css", "page.js", "pictures.js", "tables.js"):
        assert f"hybridir_mteb/results/html/{part}" in names
    for recipe in ("pocket-ntrex", "muse", "muse-ntrex"):
        assert f"hybridir_mteb/recipes/{recipe}.yaml" in names
    methods = ("mono", "cross", "hybrid", "mixed", "bilingual", "erasure", "consistency")
    for method in (*methods, "adversarial", "hybrid-adversarial"):
        encoder = f"hybridir_mteb/data/encoders/pocket-{method}"
        assert f"{encoder}/adapter_model.safetensors" in names
        assert f"{encoder}/hybridir.json" in names
        assert f"hybridir_mteb/recipes/pocket-{method}.yaml" in names
    assert not [name for name in names if "_startup" in name or "__pycache__" in name]
    metadata = f"hybridir_mteb-{version}.dist-info/METADATA"
    lines = zipfile.ZipFile(wheel).read(metadata).decode().splitlines()
    base = [line for line in lines if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert not [line for line in base if "peft" in line or "accelerate" in line]
    assert {"Provides-Extra: train", "Provides-Extra: embedded"} < set(lines)


def test_the_commit_is_known_in_an_installation(environment, source):
    commit = run("git", "rev-parse", "--short=12", "HEAD", cwd=source).stdout.strip()
    said = environment.run("hybridir", "--version").stdout
    assert said == f"hybridir-mteb {hybridir_mteb.__version__} (commit {commit})\n"


def test_stock_mteb_commands(environment):
    assert SHOWN in environment.run("mteb", *SHOW).stdout
    assert SHOWN in environment.run("python", "-m", "mteb", *SHOW).stdout
    shown = environment.run("mteb", "available-benchmarks", "-b", "HybridIR").stdout
    assert SHOWN in shown
    assert "MLQARMonolingualRetrieval" in shown


def test_mteb_functions(environment):
    greek = """
greek = {task.metadata.name for task in mteb.get_tasks(languages=["ell"])}
assert {"XQuADRMonolingualRetrieval", "PocketQARMultilingualRetrieval"} <= greek
assert "MLQARMonolingualRetrieval" not in greek  # MLQA has no Greek
"""
    environment.python(REGISTERED + greek)


def test_shipped_encoders_load_from_an_installation(environment):
    shown = environment.run("hybridir", "models", "list").stdout
    assert shown.count("package") >= 9
    environment.python(
        "import mteb\n"
        "model = mteb.get_model('hybridir/pocket-hybrid')\n"
        "assert model.engine.encode(['Was ist Bernstein?']).shape == (1, 384)\n"
    )


def test_autoload_can_be_switched_off(environment):
    environment.python(HIDDEN, HYBRIDIR_AUTOLOAD="0")
    # A .start file calls the function itself, which has to look at the variable too.
    install = "import sys, pkgutil, hybridir_mteb; before = list(sys.meta_path); "
    install += "pkgutil.resolve_name({!r})(); "
    line = (environment.site_packages / STARTUP_FILES[1]).read_text().strip()
    check = install.format(line) + "assert sys.meta_path == before"
    environment.python(check, HYBRIDIR_AUTOLOAD="0")


def loaded(environment: Environment, code: str, *packages: str) -> list[str]:
    """Which modules of some packages a piece of code loads."""
    show = f"import sys; print(*sorted(m for m in sys.modules if m.split('.')[0] in {packages}))"
    return environment.python(f"{code}; {show}").stdout.split()


def test_how_little_is_loaded(environment):
    ours = ["hybridir_mteb", "hybridir_mteb._bootstrap"]
    assert loaded(environment, "pass", "hybridir_mteb") == ours
    heavy = ("torch", "mteb", "datasets", "transformers", "numpy", "requests", "ray")
    assert loaded(environment, "import hybridir_mteb", *heavy) == []
    # mteb itself loads neither at import; torch alone would add half of its time.
    assert loaded(environment, "import mteb", "torch", "transformers") == []


def test_python_m_needs_no_startup_file(environment):
    for name in STARTUP_FILES:
        (environment.site_packages / name).rename(environment.root / name)
    try:
        assert loaded(environment, "pass", "hybridir_mteb") == []
        ours = ("python", "-m", "hybridir_mteb", "mteb")
        assert SHOWN in environment.run(*ours, *SHOW).stdout
    finally:
        for name in STARTUP_FILES:
            (environment.root / name).rename(environment.site_packages / name)


def test_both_startup_files_call_the_same_function(environment):
    pth, start = (environment.site_packages / name for name in STARTUP_FILES)
    environment.python(
        f"""
import pkgutil
from hybridir_mteb import _bootstrap
calls = []
def recorder():
    calls.append("called")
_bootstrap.install = recorder
(line,) = open({str(start)!r}).read().splitlines()
assert pkgutil.resolve_name(line) is recorder
(line,) = open({str(pth)!r}).read().splitlines()
exec(line)
assert calls == ["called"]
"""
    )


FIRST_IMPORTS = {
    "tasks": "import hybridir_mteb.tasks",
    "task adapter": "import hybridir_mteb.adapters.mteb.task",
    "benchmarks": "import mteb.benchmarks",
    "find_spec": "import importlib.util; assert importlib.util.find_spec('mteb')",
    "threads": """
import importlib, threading
names = ["mteb", "hybridir_mteb.tasks"] * 4
threads = [threading.Thread(target=importlib.import_module, args=(name,)) for name in names]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""",
}


@pytest.mark.parametrize("first", FIRST_IMPORTS)
def test_any_import_order_registers(environment, first):
    assert environment.python(FIRST_IMPORTS[first] + "\n" + REGISTERED).stderr == ""


def test_warnings_as_errors(environment):
    code = f"import mteb; assert len(mteb.get_tasks(tasks={TASKS})) == {len(TASKS)}"
    assert environment.python(code, "-W", "error").stderr == ""


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_uninstall_leaves_nothing(new_environment, kind):
    environment = new_environment(kind)
    environment.python("import hybridir_mteb.tasks")  # leaves bytecode behind
    assert (environment.scripts / "hybridir").is_file()
    assert all((environment.site_packages / name).is_file() for name in STARTUP_FILES)
    environment.run("python", "-m", "pip", "uninstall", "--yes", "hybridir-mteb")
    found = [*environment.site_packages.rglob("*"), *environment.scripts.iterdir()]
    assert not [path for path in found if "hybridir" in path.name.lower()]
    assert environment.python(HIDDEN).stderr == ""


HOOK = """
from hybridir_mteb import Measure, hookimpl
def nothing(table):
    return table.sum_by_query(table.gains * 0)
@hookimpl
def register_measures(register):
    register({item})
"""
FAULTY = {
    "faulty-import": ("import a_module_that_nobody_has", ["a_module_that_nobody_has"]),
    "faulty-exit": ("import sys; sys.exit('no licence')", ["SystemExit", "no licence"]),
    "faulty-item": (HOOK.format(item="1"), ["must be a Measure, got 1"]),
    "faulty-name": (
        HOOK.format(item="Measure('map', nothing, '')"),
        ["'map'", "'hybridir-mteb:measures'", "'faulty-name:plugin'"],
    ),
}


def add_plugin(environment: Environment, distribution: str, code: str) -> None:
    """Install a plugin of one module without pip."""
    module = distribution.replace("-", "_")
    (environment.site_packages / f"{module}.py").write_text(code)
    info = environment.site_packages / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[hybridir_mteb]\nplugin = {module}\n")


def test_faulty_plugins_harm_nobody(new_environment):
    environment = new_environment("wheel")
    for distribution, (code, _) in FAULTY.items():
        add_plugin(environment, distribution, code)
    add_plugin(environment, "sound", HOOK.format(item="Measure('sound', nothing, '')"))
    show = """
for measure in mteb.get_task("PocketQARMonolingualRetrieval").measures:
    print(measure.name, getattr(measure.compute, "__module__", "partial"))
"""
    done = environment.python(REGISTERED + show)
    measures = dict(line.split() for line in done.stdout.splitlines())
    assert measures["map"] == "hybridir_mteb.measures.effectiveness"
    assert measures["sound"] == "sound"
    assert {"mrr", "ndcg_at_10", "recall_at_100"} < set(measures)
    lines = done.stderr.splitlines()
    assert len(lines) == len(FAULTY)
    for distribution, (_, expected) in FAULTY.items():
        (line,) = [line for line in lines if distribution in line]
        assert all(part in line for part in expected), line


def run_mteb(environment: Environment, *arguments: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Task -> subset -> scores of one ``mteb run`` of the example's encoder."""
    output = environment.root / "-".join(["output", *arguments])
    options = ("-m", "example/char-ngrams", "--output-folder", str(output), *arguments)
    environment.run("mteb", "run", *options)
    folder = output / "results" / "example__char-ngrams" / "1"
    results = [json.loads(path.read_text()) for path in folder.glob("*Retrieval.json")]
    return {
        result["task_name"]: {score["hf_subset"]: score for score in result["scores"]["test"]}
        for result in results
    }


def test_example_plugin_of_the_documentation(new_environment, source):
    environment = new_environment("wheel")
    environment.install(str(source / EXAMPLE))
    monolingual, multilingual = "ExampleQAMonolingualRetrieval", "ExampleQAMultilingualRetrieval"
    scores = run_mteb(environment, "-t", monolingual, multilingual)
    assert set(scores[monolingual]) == set(scores[multilingual]) == {"de", "en"}
    for subset in scores[monolingual].values():
        assert subset["n_passages"] == 6
        assert 0.5 < subset["map"] <= subset["success_at_5"] == 1
    for subset in scores[multilingual].values():
        assert subset["n_passages"] == 12
        assert 0 < subset["map"] < subset["success_at_5"] <= 1

    scores = run_mteb(environment, "-t", "PocketQARMonolingualRetrieval", "-l", "eng")
    (subset,) = scores["PocketQARMonolingualRetrieval"].values()
    assert subset["hf_subset"] == "en"
    assert subset["n_queries"] == 48
    assert 0 < subset["map"] < subset["success_at_5"] < 1
