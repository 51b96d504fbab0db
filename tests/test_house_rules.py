"""Rules of the house that no linter knows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
SOURCES = sorted([*(REPOSITORY / "hybridir_mteb").rglob("*.py"), *REPOSITORY.glob("tasks/*.py")])
LONGEST_MODULE = 400
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(work|tmp|root|home|Users)/\w")


def tracked() -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [REPOSITORY / name for name in done.stdout.splitlines()]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_module_has_one_job_and_fits_on_a_few_screens(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


def test_no_file_names_a_machine_path():
    named = [
        f"{path.name}: {match.group()}"
        for path in tracked()
        if path.suffix in {".py", ".md", ".toml", ".json", ".txt", ".yml"}
        and path.is_file()
        and path != Path(__file__)
        for match in [MACHINE_PATH.search(path.read_text(encoding="utf-8"))]
        if match
    ]
    assert named == []
