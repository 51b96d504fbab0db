"""A stand-in of MTEB's public results repository, its checks written anew; they use git alone."""

import json
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LIMIT = 10 * 1024 * 1024
GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")


class ResultsRepository:
    """A repository with a folder ``results``, and requests to it.

    Args:
        folder: Where to make it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.results = folder, folder / "results"
        self.results.mkdir(parents=True)
        (folder / "README.md").write_text("results\n")
        self.git("init", "-q", "-b", "main")
        self.commit("start")

    def git(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [*GIT, *arguments], cwd=self.folder, capture_output=True, text=True, check=check
        )
        return done.stdout

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def publish(self, tree: Path) -> None:
        """Put results on the main branch."""
        shutil.copytree(tree, self.results, dirs_exist_ok=True)
        self.commit("published")

    def refuses(self, tree: Path) -> set[str]:
        """Names of the checks that fail on a request with these results."""
        self.git("checkout", "-q", "-b", "request", "main")
        shutil.copytree(tree, self.results, dirs_exist_ok=True)
        self.commit("request")
        checks = (
            *("structure", "task_name", "revision", "duplicates", "removed", "difference"),
            *("size", "settings"),
        )
        failed = {name for name in checks if any(getattr(self, name)())}
        self.git("checkout", "-q", "main")
        self.git("branch", "-q", "-D", "request")
        return failed

    def changed(self) -> list[Path]:
        names = self.git("diff", "--name-only", "main", "HEAD").splitlines()
        return [self.folder / name for name in names if (self.folder / name).is_file()]

    def before(self, path: Path) -> dict[str, Any] | None:
        text = self.git("show", f"main:{path.relative_to(self.folder)}", check=False)
        return json.loads(text) if text else None

    def structure(self) -> Iterator[str]:
        for revision in self.results.glob("*/*"):
            meta = revision / "model_meta.json"
            if not meta.exists():
                yield f"{revision}: no metadata"
                continue
            content = json.loads(meta.read_text())
            name = content["name"].replace(" ", "_").replace("/", "__")
            expected = self.results / name / (content["revision"] or revision.name)
            if expected != revision or not [p for p in revision.glob("*.json") if p != meta]:
                yield f"{meta}: expected at {expected}"

    def revision(self) -> Iterator[str]:
        for meta in self.results.glob("*/*/model_meta.json"):
            if json.loads(meta.read_text())["revision"] in {None, "no_revision_available"}:
                yield str(meta)

    def task_name(self) -> Iterator[str]:
        for path in self.tasks():
            if json.loads(path.read_text()).get("task_name") != path.stem:
                yield str(path)

    def duplicates(self) -> Iterator[str]:
        seen: dict[tuple[str, str], set[str]] = defaultdict(set)
        for path in self.tasks():
            seen[path.parent.parent.name, path.stem].add(path.parent.name)
        yield from (f"{key}" for key, revisions in seen.items() if len(revisions) > 1)

    def removed(self) -> Iterator[str]:
        """Splits, subsets and languages."""
        for path, old, new in self.pairs():
            for key, score in old.items():
                if key not in new or set(score["languages"]) - set(new[key]["languages"]):
                    yield f"{path} {key}"

    def difference(self) -> Iterator[str]:
        for path, old, new in self.pairs():
            for key in old.keys() & new.keys():
                if abs(old[key]["main_score"] - new[key]["main_score"]) > 0.001:
                    yield f"{path} {key}"

    def size(self) -> Iterator[str]:
        yield from (str(path) for path in self.changed() if path.stat().st_size > LIMIT)

    def settings(self) -> Iterator[str]:
        for path in self.changed():
            if path.name == "model_meta.json" or path.suffix != ".json":
                continue
            file = path.parent / "run_settings.jsonl"
            rows = (
                [json.loads(row) for row in file.read_text().splitlines()] if file.exists() else []
            )
            covered = {
                (row["task"], split, subset)
                for row in rows
                for split in row["splits"]
                for subset in row["subsets"]
            }
            for (split, subset), score in scores(json.loads(path.read_text())).items():
                major, minor = map(int, score["mteb_version"].split(".")[:2])
                if (path.stem, split, subset) not in covered or (major, minor) < (2, 14):
                    yield f"{path} {split} {subset}"

    def tasks(self) -> Iterator[Path]:
        for path in self.results.glob("*/*/*.json"):
            if path.name != "model_meta.json":
                yield path

    def pairs(self) -> Iterator[tuple[Path, dict[Any, Any], dict[Any, Any]]]:
        """Changed results, before and now."""
        for path in self.changed():
            old = self.before(path)
            if old is not None and path.suffix == ".json" and path.name != "model_meta.json":
                yield path, scores(old), scores(json.loads(path.read_text()))


def scores(content: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Split and subset -> their scores."""
    return {
        (split, one["hf_subset"]): one
        for split, found in content["scores"].items()
        for one in found
    }
