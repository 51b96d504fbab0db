"""What is installed is loaded once and registered once, whatever is imported first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each test is a process that imports mteb

PLUGIN = """
import sys
from hybridir_mteb import hookimpl
{more}
@hookimpl
def register_measures(register):
    sys.stderr.write("asked\\n")
"""
REGISTERED = """
import mteb
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.installed import installed_plugins, when_loaded

plugins = installed_plugins()
assert register() is plugins is register()
found = []
when_loaded(found.append)
assert found[0] is plugins
assert "XQuADRMonolingualRetrieval" in plugins.tasks
assert mteb.get_task("PocketQARMultilingualRetrieval").metadata.main_score == "map"
assert mteb.get_model_meta("hybridir/pocket-base").n_parameters
"""
BENCHMARKS = 'assert len(mteb.get_benchmark("HybridIR").tasks) == 6'  # the hook adds them
FIRST = {
    "mteb": "import mteb",
    "benchmarks": "import mteb.benchmarks.benchmarks",
    "plugins": "from hybridir_mteb.installed import installed_plugins; installed_plugins()",
    "adapter": "import hybridir_mteb.adapters.mteb.metas",
    "collections": "import hybridir_mteb.tasks",
    "command": "from hybridir_mteb.cli.app import app; app(['tasks'], standalone_mode=False)",
    "plugin": "import quick_plugin",
}


def run(code: str, folder: Path, more: str = "", **variables: str) -> list[str]:
    """Lines on stderr of code in a process that sees a plugin of one module, ``quick_plugin``."""
    info = folder / "quick-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quick\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hybridir_mteb]\nquick = quick_plugin\n")
    (folder / "quick_plugin.py").write_text(PLUGIN.format(more=more))
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


@pytest.mark.parametrize("first", FIRST)
def test_everything_is_loaded_and_registered_once_whatever_is_first(first, tmp_path):
    assert run(f"{FIRST[first]}\n{REGISTERED}{BENCHMARKS}", tmp_path) == ["asked"]


@pytest.mark.parametrize("first", ["mteb", "plugins"])
def test_a_plugin_may_bring_mteb_and_its_benchmarks(first, tmp_path):
    more = "import mteb, mteb.benchmarks.benchmarks"
    assert run(f"{FIRST[first]}\n{REGISTERED}{BENCHMARKS}", tmp_path, more) == ["asked"]


def test_without_the_startup_file_all_is_registered_when_asked(tmp_path):
    code = f"{FIRST['plugins']}\n{REGISTERED}"
    assert run(code, tmp_path, "import mteb", HYBRIDIR_AUTOLOAD="0") == ["asked"]


def test_a_plugin_that_is_imported_before_mteb_is_skipped_and_told(tmp_path):
    (line,) = run(f"import quick_plugin\n{REGISTERED}", tmp_path, "import mteb")
    assert line.startswith("hybridir-mteb: plugin quick:quick is skipped: PluginError: ")
    assert line.endswith("import mteb first")


def test_a_failure_to_register_never_breaks_the_import(tmp_path):
    code = (
        "import hybridir_mteb.adapters.mteb.register as ours\n"  # autoload is off until here
        "def fail(plugins):\n    raise SystemExit('no licence')\n"
        "ours.register = fail\n"
        "from hybridir_mteb import install_autoload\n"
        "install_autoload(force=True)\n"
    )
    lines = run(code, tmp_path, HYBRIDIR_AUTOLOAD="0")
    assert lines[-1] == "hybridir-mteb: not registered: SystemExit: no licence"


CHAOS = """
from asyncio import CancelledError
def fail(register):
    raise GeneratorExit("\\x1b[31m[/]")
register_models = register_collections = register_tasks = hookimpl(fail)
del fail
@hookimpl
def register_backbones(register):
    raise CancelledError("two\\nlines")
@hookimpl
def register_methods(register):
    class Odd:
        name = property(lambda self: exit("no name"))
        def __repr__(self):
            raise GeneratorExit
    register(Odd())
"""


def test_mteb_works_beside_a_bad_plugin_bad_encoders_and_bad_collections(tmp_path):
    """One line for each, once for the process, and everything else is there."""
    store, added = tmp_path / "store", tmp_path / "added"
    for name, content in (("deep", "[" * 100_000), ("named", '{"name": 7}')):
        (store / name / "0123").mkdir(parents=True)
        (store / name / "0123" / "hybridir.json").write_text(content)
    (store / "folder" / "0123" / "hybridir.json").mkdir(parents=True)
    (added / "Folder.json").mkdir(parents=True)
    (added / "Link.json").symlink_to("nowhere")
    os.mkfifo(added / "Pipe.json")
    (added / "Deep.json").write_text("[" * 100_000)
    places = {"HYBRIDIR_MODEL_STORE": str(store), "HYBRIDIR_COLLECTIONS": str(added)}
    more = 'assert mteb.get_model_meta("hybridir/pocket-hybrid+centre").revision\n'
    code = f"import mteb\n{REGISTERED}{BENCHMARKS}\n{more}"
    lines = run(code, tmp_path, CHAOS, **places)
    assert "asked" in lines, lines
    lines.remove("asked")
    assert all(line.isprintable() and line.startswith("hybridir-mteb: ") for line in lines)
    said = "\n".join(lines)
    for hook in ("models", "collections", "tasks", "backbones", "training method"):
        assert said.count(hook) >= 1
    for place in [*store.iterdir(), *added.iterdir()]:
        assert sum(str(place) in line for line in lines) == 1, place
    assert len(lines) == 5 + 3 + 4, lines


def test_a_plugin_that_hangs_is_named_while_it_hangs(tmp_path):
    slow = "import time; time.sleep(0.5)"
    code = (
        f"import hybridir_mteb.plugins.guard as g; g.SLOW_SECONDS = 0.1\nimport mteb\n{REGISTERED}"
    )
    lines = run(code, tmp_path, slow)
    assert lines[0] == (
        "hybridir-mteb: plugin quick:quick: its import has taken 0.1 s and is still at work; if it "
        "never ends, run: pip uninstall quick"
    )
    assert lines[1:] == ["asked"]


def test_an_interrupt_in_a_plugin_stops_the_program(tmp_path):
    code = (
        "try:\n    import mteb\nexcept KeyboardInterrupt:\n    print('stopped')\n"
        "else:\n    raise SystemExit('went on')"
    )
    assert run(code, tmp_path, "raise KeyboardInterrupt") == []
