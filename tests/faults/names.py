"""Hostile names wherever a user, an archive, a file or a plugin may give one.

One line of error at most, no control character in it or in any table, nothing written outside of
the place, and nothing of the input beyond some hundred characters.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from faults.operations import (
    BASE,
    DEBIASED,
    PARALLEL,
    STREAMED,
    fresh,
    hybridir,
    search,
    succeed,
    with_archive,
    with_collection,
    with_outputs_of_mteb,
    with_recipe,
    write_beir,
    write_run,
    write_texts,
)
from faults.result import Outcome, Result
from faults.sandbox import Ran, Sandbox

NAME = "names"
LONGEST_LINE = 2000
LONGEST_ECHO = 700  # of one character, in a row: messages hold at most some hundred
# tqdm moves the cursor up between bars.
CURSOR = re.compile(r"\x1b\[A")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

HOSTILE = {
    "escape": "\x1b[2J\x1b[31mred",
    "title": "\x1b]0;owned\x07",
    "newline": "one\ntwo",
    "return": "one\rerror: two",
    "tab": "one\ttwo",
    "bell": "a\x07b",
    "c1": "a\x9b31mb",
    "delete": "a\x7fb",
    "markup": "[/]",
    "markup-bold": "[bold red]x[/bold]",
    "markup-link": "[link=file:///etc/passwd]x",
    "up": "../../../outside",
    "up-inside": "hybridir/../../outside",
    "absolute": "/nowhere/at/all",
    "null-device": "/dev/null",
    "home": "~nouser/x",
    "long": "x" * 5000,
    "long-path": "/".join(["x" * 200] * 40),
    "unicode": "Köln-北京-🦜",
    "right-to-left": "abc\u202etxt.exe",
    "zero-width": "a\u200bb",
    "combining": "Z" + "\u0301" * 500,
    "not-utf8": "a\udcffb",
    "empty": "",
    "blank": " ",
    "dot": ".",
    "dots": "..",
    "hidden": ".hidden",
    "dash": "-x",
    "dashes": "--output",
    "format": "%s%n{0}{name}",
    "shell": "$(touch owned);`touch owned`|touch owned",
    "quotes": "'\"\\",
    "backslash": "a\\b\\..\\c",
    "comma": ",",
    "equals": "=",
    "colon": "a:b",
    "star": "*",
    "json": '{"a": [1]}',
    "official": "hybridir/pocket-base",
    "org": "hybridir/",
    "slashes": "a//b/c",
    "nul-like": "a%00b",
    "number": "1e999",
    "line-separator": "a\u2028b",
}

BIAS = ("qrels.trec", "--doc-lang", "docs.tsv", "--query-lang", "queries.tsv")
TEXTS = ("--text", "de=de.txt", "--text", "en=en.txt")


def _fit(method: str, *rest: str, model: str = BASE) -> tuple[str, ...]:
    return hybridir("debias", "fit", "--model", model, "--method", method, *rest)


# Place in a command -> the command, given the name.
PLACES: dict[str, Callable[[str], tuple[str, ...]]] = {
    "search-encoder": lambda n: hybridir("search", n, STREAMED, "--output", "out"),
    "search-task": lambda n: hybridir("search", BASE, n, "--output", "out"),
    "search-output": lambda n: hybridir("search", BASE, STREAMED, "--output", n),
    "search-subset": lambda n: (*search(), "--subset", n),
    "search-dtype": lambda n: (*search(), "--dtype", n),
    "search-precision": lambda n: (*search(), "--precision", n),
    "search-device": lambda n: (*search(), "--device", n),
    "models-show": lambda n: hybridir("models", "show", n),
    "models-show-revision": lambda n: hybridir("models", "show", DEBIASED, "--revision", n),
    "models-rm": lambda n: hybridir("models", "rm", n),
    "models-export": lambda n: hybridir("models", "export", n, "e.zip"),
    "models-export-target": lambda n: hybridir("models", "export", DEBIASED, n),
    "models-import": lambda n: hybridir("models", "import", n),
    "models-push-to": lambda n: hybridir("models", "push", DEBIASED, "--to", n),
    "data-add-name": lambda n: hybridir("data", "add", n, "beir"),
    "data-add-folder": lambda n: hybridir("data", "add", "Toy", n),
    "data-add-split": lambda n: hybridir("data", "add", "Toy", "beir", "--split", n),
    "data-add-language": lambda n: hybridir("data", "add", "Toy", "beir", "--language", n),
    "data-add-licence": lambda n: hybridir("data", "add", "Toy", "beir", "--licence", n),
    "data-remove": lambda n: hybridir("data", "remove", n),
    "data-fetch": lambda n: hybridir("data", "fetch", n),
    "data-verify": lambda n: hybridir("data", "verify", n),
    "data-verify-language": lambda n: hybridir("data", "verify", "MIRACL", "--language", n),
    "data-pool": lambda n: hybridir("data", "pool", n, "de", "en"),
    "data-pool-language": lambda n: hybridir("data", "pool", "MIRACL", "de", n),
    "export-format": lambda n: hybridir("export", n, PARALLEL, "out"),
    "export-task": lambda n: hybridir("export", "beir", n, "out"),
    "export-folder": lambda n: hybridir("export", "beir", PARALLEL, n),
    "export-subset": lambda n: hybridir("export", "beir", PARALLEL, "out", "--subset", n),
    "debias-model": lambda n: _fit("centre", *TEXTS, model=n),
    "debias-method": lambda n: _fit(n),
    "debias-text": lambda n: _fit("centre", "--text", n),
    "debias-file": lambda n: _fit("centre", *TEXTS[:2], "--text", f"en={n}"),
    "debias-option": lambda n: _fit("lir", "--option", f"k={n}", *TEXTS),
    "debias-languages": lambda n: _fit("centre", "--languages", n),
    "train-recipe": lambda n: hybridir("train", n, "--dry-run"),
    "train-backbone": lambda n: hybridir("train", "--backbone", n, "--method", "mono"),
    "train-method": lambda n: hybridir("train", "--backbone", "pocket", "--method", n),
    "train-weights": lambda n: hybridir("train", "recipe.yaml", "--weights", n, "--dry-run"),
    "train-data": lambda n: hybridir("train", "recipe.yaml", "--data", n, "--dry-run"),
    "train-languages": lambda n: hybridir("train", "recipe.yaml", "--languages", n, "--dry-run"),
    "train-option": lambda n: hybridir("train", "recipe.yaml", "--option", n, "--dry-run"),
    "train-value": lambda n: hybridir("train", "recipe.yaml", "--option", f"a={n}", "--dry-run"),
    "bias-run": lambda n: hybridir("bias", n),
    "bias-qrels": lambda n: hybridir("bias", "run.trec", n, *BIAS[1:]),
    "bias-map": lambda n: hybridir("bias", "run.trec", "qrels.trec", "--doc-lang", n, *BIAS[3:]),
    "bias-measures": lambda n: hybridir("bias", "run.trec", *BIAS, "--measures", n),
    "bias-matrix": lambda n: hybridir("bias", "run.trec", *BIAS, "--matrix", n),
    "bias-plot": lambda n: hybridir("bias", "run.trec", *BIAS, "--plot", n),
    "report-folder": lambda n: hybridir("report", n),
    "report-collection": lambda n: hybridir("report", "results", "--collection", n),
    "report-benchmark": lambda n: hybridir("report", "results", "--benchmark", n),
    "unknown-command": lambda n: hybridir(n),
}


TRIED = 700  # of all pairs of place and name
# Where a user says where to write.
ASKED = {"models-export-target", "export-folder", "search-output", "bias-plot"}


def run(box: Sandbox, amount: float, wanted: Callable[[str], bool], seed: int) -> Iterator[Result]:
    """Each name in each place."""
    if "names" not in _KEPT:
        _KEPT["names"] = _everything(box)
    rng = random.Random(f"{seed} {NAME}")
    cases = [(place, name) for place in (*PLACES, *INSIDE) for name in HOSTILE]
    if not wanted("names:every"):  # a case that was asked for is among all
        pass
    elif len(cases) > (most := max(8, round(TRIED * amount))):
        cases = sorted(rng.sample(cases, most))
    for place, name in cases:
        case = f"{place}:{name}"
        if wanted(case):
            box.put_back(_KEPT["names"])
            yield _one(box, case, place, HOSTILE[name])


_KEPT: dict[str, Path] = {}


def _everything(box: Sandbox) -> Path:
    """A folder with all that the commands need."""
    box.put_back()
    with_archive(box)
    succeed(box, hybridir("models", "import", "encoder.zip"))
    write_beir(box)
    write_run(box)
    write_texts(box)
    with_recipe(box)
    return box.keep()


def _one(box: Sandbox, case: str, place: str, name: str) -> Result:
    outside = _outside(box)
    if place in PLACES:
        if "\0" in name:
            return Result(case, Outcome.REFUSED)
        commands = [PLACES[place](name)]
    else:
        try:
            commands = INSIDE[place](box, name)
        except (OSError, ValueError, sqlite3.Error):  # no file system holds such a name
            return Result(case, Outcome.REFUSED)
    outcome = Outcome.RIGHT
    for command in commands:
        ran = box.run(fresh(command))
        if wrong := _seen(ran):
            kind, detail = wrong
            return Result(case, kind, f"{command[1:3]!r:.80}: {detail}")
        outcome = Outcome.REFUSED if ran.code else outcome
    if place not in ASKED and (new := sorted(_outside(box) - outside)):
        return Result(case, Outcome.UNDETECTED, f"written outside: {new[:3]}")
    if list(box.home.rglob("owned")):
        return Result(case, Outcome.UNDETECTED, "a shell ran it")
    return Result(case, outcome)


def _seen(ran: Ran) -> tuple[Outcome, str] | None:
    if ran.hung:
        return Outcome.HUNG, ""
    if ran.code != 0 and not ran.one_line:
        return Outcome.TRACEBACK, f"{ran.code} {ran.failed or ran.err[-300:]}"
    text = CURSOR.sub("", ran.err + ran.out)
    if found := CONTROL.search(text):
        at = max(0, found.start() - 40)
        return Outcome.TRACEBACK, f"control character: {text[at : found.end() + 40]!r}"
    echoed = re.search(rf"(?:x|/|\u0301){{{LONGEST_ECHO}}}", ran.err.replace("\n", ""))
    if echoed or any(len(line) > LONGEST_LINE for line in ran.said):
        return Outcome.TRACEBACK, f"too long: {max(map(len, ran.said), default=0)} characters"
    return None


def _outside(box: Sandbox) -> set[str]:
    """What lies around the sandbox, and where traversal would lead."""
    around = {str(path) for path in box.root.iterdir() if path != box.home}
    return around | {str(path) for path in box.root.parent.glob("outside*")}


# Names inside of files -----------------------------------------------------------------------


def _in_ids(box: Sandbox, name: str) -> list[Any]:
    write_beir(box)
    corpus = box.home / "beir" / "corpus.jsonl"
    rows = [json.loads(line) for line in corpus.read_text().splitlines()]
    old, rows[0]["_id"] = rows[0]["_id"], name
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    qrels = box.home / "beir" / "qrels" / "test.tsv"
    qrels.write_text(qrels.read_text().replace(f"\t{old}\t", f"\t{_plain(name)}\t"))
    return [
        hybridir("data", "add", "Toy", "beir", "--allow-missing"),
        hybridir("search", BASE, "Toy", "--output", "toy"),
        hybridir("export", "trec", "Toy", "exported"),
    ]


def _plain(name: str) -> str:
    """A name as a file of lines can hold it."""
    return name.encode("utf-8", "replace").decode().replace("\n", " ").replace("\t", " ")


def _in_queries(box: Sandbox, name: str) -> list[Any]:
    write_beir(box)
    queries = box.home / "beir" / "queries.jsonl"
    with queries.open("a") as stream:
        stream.write(json.dumps({"_id": name, "text": name or "x"}) + "\n")
    with (box.home / "beir" / "qrels" / "test.tsv").open("a", errors="replace") as stream:
        stream.write(f"{_plain(name)}\td1\t1\n")
    return [
        hybridir("data", "add", "Toy", "beir"),
        hybridir("search", BASE, "Toy", "--output", "toy"),
    ]


def _in_record(box: Sandbox, name: str) -> list[Any]:
    (path,) = (box.home / "store").glob("*/*/hybridir.json")
    record = json.loads(path.read_text())
    record["name"] = name
    record.pop("sha256", None)
    path.write_text(json.dumps(record))
    return [hybridir("models", "list"), hybridir("models", "show", DEBIASED)]


def _in_method(box: Sandbox, name: str) -> list[Any]:
    (path,) = (box.home / "store").glob("*/*/hybridir.json")
    record = json.loads(path.read_text())
    record["created"] = record["backbone"]["name"] = record["debiaser"]["method"] = name
    path.write_text(json.dumps(record))
    return [hybridir("models", "list"), search(DEBIASED)]


def _as_folder(box: Sandbox, name: str) -> list[Any]:
    folder = box.home / "store" / name / "0123"
    if not folder.resolve().is_relative_to(box.home):
        raise ValueError("elsewhere")
    folder.mkdir(parents=True)
    (folder / "hybridir.json").write_text("{}")
    return [hybridir("models", "list"), hybridir("cache", "info")]


def _in_archive(box: Sandbox, name: str) -> list[Any]:
    source = shutil.copy(box.home / "encoder.zip", box.home / "hostile.zip")
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr(f"{name}.json", "{}")
    return [hybridir("models", "import", "hostile.zip")]


def _named_archive(box: Sandbox, name: str) -> list[Any]:
    source, target = box.home / "encoder.zip", box.home / "hostile.zip"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for one in old.namelist():
            data = old.read(one)
            if one == "hybridir.json":
                data = json.dumps(json.loads(data) | {"name": name}).encode()
            new.writestr(one, data)
    return [hybridir("models", "import", "hostile.zip"), hybridir("models", "list")]


def _in_collections(box: Sandbox, name: str) -> list[Any]:
    with_collection(box)
    place = box.home / "collections"
    if not (place / name).resolve().is_relative_to(place):
        raise ValueError("elsewhere")
    shutil.copy(place / "Toy.json", place / f"{name}.json")
    return [hybridir("data", "list"), hybridir("tasks"), hybridir("data", "remove", "Toy")]


def _in_results(box: Sandbox, name: str) -> list[Any]:
    with_outputs_of_mteb(box)
    (path,) = (box.home / "out").rglob(f"{PARALLEL}.json")
    target = path.parent.parent.parent / name / "1"
    if not target.resolve().is_relative_to(box.home / "out"):
        raise ValueError("elsewhere")
    target.mkdir(parents=True)
    shutil.copy(path, target)
    return [hybridir("report", "out"), hybridir("report", "out", "--bias")]


def _in_store(box: Sandbox, name: str) -> list[Any]:
    place = box.home / "cache" / "embeddings"
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{'a' * 32}.sqlite"
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        made.execute("CREATE TABLE embedding (key BLOB, vector BLOB, checksum INT)")
        made.execute("INSERT INTO meta VALUES ('namespace', ?)", (json.dumps({"label": name}),))
    return [hybridir("cache", "info"), hybridir("cache", "clear")]


def _in_manifest(box: Sandbox, name: str) -> list[Any]:
    succeed(box, search())
    for path in (box.home / "cache" / "shards").glob("*/manifest.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "encoder": name, "source": name}))
    return [hybridir("cache", "info"), search(output="again")]


def _in_maps(box: Sandbox, name: str) -> list[Any]:
    for file in ("docs.tsv", "queries.tsv"):
        text = (box.home / file).read_text()
        (box.home / file).write_text(text.replace("\tfr", f"\t{_plain(name)}"), errors="replace")
    formats = (("--format", "table"), ("--format", "latex"), ("--plot", "bias.html"))
    return [hybridir("bias", "run.trec", *BIAS, *more) for more in formats]


def _in_runs(box: Sandbox, name: str) -> list[Any]:
    for file in ("run.trec", "qrels.trec"):
        lines = (box.home / file).read_text().splitlines()
        lines[0] = lines[0].replace(lines[0].split()[2], name or "x", 1)
        (box.home / file).write_text("\n".join(lines) + "\n", errors="surrogateescape")
    return [hybridir("bias", "run.trec", *BIAS)]


def _in_recipe(box: Sandbox, name: str) -> list[Any]:
    recipe = json.loads((box.home / "recipe.yaml").read_text())
    recipe[name] = name
    (box.home / "recipe.yaml").write_text(json.dumps(recipe))
    return [hybridir("train", "recipe.yaml", "--dry-run")]


INSIDE: dict[str, Callable[[Sandbox, str], list[Any]]] = {
    "id-of-passage": _in_ids,
    "id-of-query": _in_queries,
    "name-in-record": _in_record,
    "fields-of-record": _in_method,
    "folder-of-store": _as_folder,
    "file-of-archive": _in_archive,
    "name-in-archive": _named_archive,
    "file-of-collections": _in_collections,
    "folder-of-results": _in_results,
    "label-in-store": _in_store,
    "names-in-manifest": _in_manifest,
    "language-in-map": _in_maps,
    "id-in-run": _in_runs,
    "key-in-recipe": _in_recipe,
}
