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
