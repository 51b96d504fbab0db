"""A copy of a process is what a new one would be, but for packages that are imported already."""

import json
import os
import sys

import pytest
from toys.cli import HYBRIDIR, copied, succeed
from toys.copies import Copies, copies

SHOW = """
import json, os, sys
import hybridir_mteb
ours = [type(finder).__module__ for finder in sys.meta_path]
print(json.dumps({
    "argv": sys.argv, "cwd": os.getcwd(), "environ": dict(os.environ), "name": __name__,
    "file": hybridir_mteb.__file__, "hook": "hybridir_mteb._bootstrap" in ours,
    "path": list(dict.fromkeys(sys.path)), "mteb": "mteb" in sys.modules,
    "terminal": sys.stdout.isatty(),
}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["-c", "-m", "script"])
def test_a_copy_sees_what_a_new_process_sees(kind, tmp_path):
    (tmp_path / "show.py").write_text(SHOW)
    words = {"-c": ["-c", SHOW], "-m": ["-m", "show"], "script": [tmp_path / "show.py"]}[kind]
    path = os.pathsep.join([os.environ["PYTHONPATH"], str(tmp_path / "more")])
    new, copy = (
        json.loads(
            how(sys.executable, *words, "a b", cwd=tmp_path, MORE="1", PYTHONPATH=path).stdout
        )
        for how in (succeed, copied)
    )
    assert new["hook"]
    assert copy == new


@pytest.mark.slow
def test_a_copy_ends_as_a_new_process_does(tmp_path):
    for code, said in (("import sys; sys.exit('no')", "no\n"), ("0 / 0", "ZeroDivisionError")):
        done = copies.run([sys.executable, "-c", code], tmp_path, dict(os.environ), 60)
        assert done.returncode == 1
        assert said in done.stderr
    with pytest.raises(AssertionError, match="nothing"):
        copied(HYBRIDIR, "nothing")


def test_what_packages_read_at_their_start_asks_for_a_new_process():
    environment = dict(os.environ)
    new = Copies()
    assert new.fits([HYBRIDIR], {**environment, "HYBRIDIR_CACHE_DIR": "elsewhere"})
    assert not new.fits([HYBRIDIR], {**environment, "OMP_NUM_THREADS": "2"})
    assert not new.fits(["git", "init"], environment)


@pytest.mark.slow
def test_a_command_that_takes_too_long_is_ended(tmp_path):
    with pytest.raises(TimeoutError, match="more than 1 s"):
        copies.run(
            [sys.executable, "-c", "import time; time.sleep(99)"], tmp_path, dict(os.environ), 1
        )
    assert copied(sys.executable, "-c", "print(3)").stdout == "3\n"
