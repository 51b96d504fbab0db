"""What users do, on toys: each command with what it needs and the result that counts."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from errno import EFBIG, ENOSPC
from pathlib import Path
from typing import Any

from end_to_end.pin_runs import digest, settled, tree
from toys.beir import toy_set, write_folder
from toys.training import write_parallel_jsonl, write_tiny_xlmr

from faults.sandbox import Command, Ran, Sandbox, main

STREAMED = "PinsStreamedMonolingualRetrieval"
PARALLEL = "PinsParallelMultilingualRetrieval"
BASE, DEBIASED, TRAINED = "pins/hash", "hybridir/pins__hash+centre", "hybridir/xlmr-hybrid"
BATCH = 16  # texts: what a killed run on a collection in memory may lose
SHARD = 8
STEPS, SAVED = 6, 2
FEW = 0.05  # below this part of the campaign few things are trained
OLD_S = 1_700_000_000
TEXTS = {
    "de": ["das Haus steht am See", "der Hund schläft im Garten", "die Katze trinkt Milch"],
    "en": ["the house is at the lake", "the dog sleeps outside", "the cat drinks milk"],
}


Counted = Callable[[Path], Any]  # what counts of what a command leaves; raises if it is not there


@dataclass(frozen=True)
class Operation:
    """A command of a user.

    Attributes:
        name: In ids of cases.
        command: What is run.
        prepare: Makes what the command needs, in an empty sandbox.
        result: What counts of what it leaves; raises if it is not there.
        unit: Texts or steps that one batch, shard or checkpoint holds; 0: nothing is encoded.
        seconds: Whether it takes so long that fewer cases are tried.
    """

    name: str
    command: Command
    prepare: Callable[[Sandbox], None]
    result: Counted
    unit: int = 0
    slow: bool = False


def unbroken(
    box: Sandbox, name: str, prepare: Callable[[Sandbox], None], command: Command, result: Counted
) -> tuple[Path, Ran, Any]:
    """A command that nothing disturbs: a copy of what it starts from, how it ran, what counts."""
    box.put_back()
    prepare(box)
    kept = box.keep()
    whole = box.run(command)
    if whole.code != 0:
        raise RuntimeError(f"{name}: {whole.err[-2000:]}")
    return kept, whole, result(box.home)


def fresh(command: Command) -> Callable[[], None]:
    """The command in a process whose registries are as the sandbox's files say."""

    def run() -> None:
        register_again()
        if callable(command):
            command()
        else:
            main(command)

    return run


def forget_registered() -> None:
    """Forget what was registered before the fork."""
    from mteb.models.model_implementations import MODEL_REGISTRY

    from hybridir_mteb.adapters.mteb import register

    registry: Any = sys.modules["mteb.get_tasks"]
    for plugins in register._registered:
        for name in plugins.models:
            MODEL_REGISTRY.pop(name, None)
        for name in plugins.tasks:
            registry._TASKS_REGISTRY.pop(name, None)
    ours = registry._TASKS_REGISTRY
    registry.TASK_LIST = tuple(t for t in registry.TASK_LIST if t.metadata.name in ours)
    register._registered.clear()


def register_again() -> None:
    """Forget what was registered before the fork, and register what is there now."""
    from hybridir_mteb.adapters.mteb import register
    from hybridir_mteb.installed import installed_plugins

    forget_registered()
    installed_plugins.cache_clear()
    register.register()


def hybridir(*arguments: str) -> tuple[str, ...]:
    """A command line."""
    return ("hybridir", *arguments)


def nothing(box: Sandbox) -> None:
    """For commands that need no files."""


def of_search(home: Path, place: str = "out") -> Any:
    """Runs, judgements and measures."""
    found = {name: value for name, value in tree(home / place).items() if name[0] != "."}
    measures = json.loads((home / place / "measures.json").read_text())
    return {**found, "measures.json": settled(measures)}


def of_mteb(home: Path) -> Any:
    """The results that MTEB stores, without times.

    A resumed task runs its missing subsets in the order of a set, so each run has another.
    """
    (path,) = (home / "out").rglob(f"{PARALLEL}.json")
    found = settled(json.loads(path.read_text()))
    for split, subsets in found["scores"].items():
        found["scores"][split] = sorted(subsets, key=lambda subset: str(subset["hf_subset"]))
    return found


def of_folder(place: str) -> Callable[[Path], Any]:
    """Every file that is not hidden; its content, of a README without the date."""

    def result(home: Path) -> Any:
        if (home / place).is_file():
            return digest(home / place)
        found = tree(home / place)
        hidden = {name for name in found if any(p.startswith(".") for p in name.split("/"))}
        if not found or hidden == set(found):
            raise FileNotFoundError(place)
        return {name: value for name, value in found.items() if name not in hidden}

    return result


def of_store(home: Path) -> Any:
    """Every encoder of the store: its files, and its record without times."""
    found: dict[str, Any] = {}
    for path in sorted((home / "store").glob("*/*/*")):
        parts = path.relative_to(home / "store").parts
        if path.is_file() and not any(part.startswith(".") for part in parts):
            name = "/".join(parts)
            if path.name == "hybridir.json":
                record = json.loads(path.read_text())
                record.pop("sha256", None)
                found[name] = settled(record)
            elif path.name != "README.md":
                found[name] = digest(path)
    if not found:
        raise FileNotFoundError("store")
    return found


def of_collection(home: Path) -> Any:
    """The record of the added collection, without its day."""
    record = json.loads((home / "collections" / "Toy.json").read_text())
    kept = {k: v for k, v in record.items() if k not in {"added", "sha256"}}
    kept["record"] = {k: v for k, v in kept.get("record", {}).items() if k != "added"}
    return kept


def of_zip(home: Path) -> Any:
    """Names and contents of an archive."""
    with zipfile.ZipFile(home / "encoder.zip") as archive:
        return {name: digest_bytes(archive.read(name)) for name in archive.namelist()}


def digest_bytes(data: bytes) -> str:
    """Start of a sha256."""
    import hashlib

    return hashlib.sha256(data).hexdigest()[:24]


def write_texts(box: Sandbox) -> None:
    """Lines to fit a debiaser on."""
    for code, lines in TEXTS.items():
        (box.home / f"{code}.txt").write_text("\n".join(lines * 4) + "\n", encoding="utf-8")


def write_beir(box: Sandbox) -> None:
    """A small folder in BEIR's layout."""
    folder = write_folder(box.home / "beir", *toy_set(40, 8, prefix="d", distinct=True))
    for path in folder.rglob("*"):
        os.utime(path, (0, OLD_S))  # of what has just changed no digest is kept


def succeed(box: Sandbox, command: Command) -> None:
    """Run what must work."""
    ran = box.run(fresh(command))
    if ran.code != 0:
        raise RuntimeError(f"{command}: {ran.err[-3000:]}")


DEBIAS = hybridir(
    *("debias", "fit", "--model", BASE, "--method", "centre"),
    *("--text", "de=de.txt", "--text", "en=en.txt"),
)


def with_debiased(box: Sandbox) -> None:
    """The store holds a debiased encoder."""
    write_texts(box)
    succeed(box, DEBIAS)


def with_archive(box: Sandbox) -> None:
    """An exported encoder lies there, and the store is empty."""
    with_debiased(box)
    succeed(box, hybridir("models", "export", DEBIASED, "encoder.zip"))
    succeed(box, hybridir("models", "rm", DEBIASED))


def with_recipe(box: Sandbox) -> None:
    """A recipe of a few steps of a tiny network, outside of what is put back."""
    weights, data = box.root / "xlmr", box.root / "tiny.jsonl"
    if not weights.exists():
        write_tiny_xlmr(weights)
        write_parallel_jsonl(data, 60)
    recipe = {
        "backbone": "xlmr",
        "method": "hybrid",
        "weights": str(weights),
        "data": [{"kind": "jsonl", "path": str(data)}],
        "lora": {"rank": 2, "dropout": 0.1},
        "steps": STEPS,
        "save_every": SAVED,
        "evaluate_every": SAVED,
        "batch_size": 4,
        "precision": "fp32",
    }
    (box.home / "recipe.yaml").write_text(json.dumps(recipe))


def name_what_mteb_left(box: Sandbox) -> str:
    """MTEB writes its results in place: ``hybridir report`` names a broken one, which then goes.

    Returns:
        What is wrong; empty if nothing is.
    """
    for path in sorted((box.home / "out").rglob(f"{PARALLEL}.json")):
        try:
            json.loads(path.read_text())
        except ValueError:
            ran = box.run(fresh(hybridir("report", "out")))
            if not ran.one_line or path.name not in ran.err:
                return f"report does not name {path.name}: {ran.code} {ran.err[-300:]}"
            path.unlink()
    return ""


def with_collection(box: Sandbox) -> None:
    """A BEIR folder was added."""
    write_beir(box)
    succeed(box, hybridir("data", "add", "Toy", "beir"))


def with_outputs_of_mteb(box: Sandbox) -> None:
    """Results of an evaluation."""
    succeed(box, BY_NAME["mteb"].command)


def refuse(error: Exception) -> None:
    """End as the command line does."""
    from hybridir_mteb.cli.console import fail

    fail(str(error))
    raise SystemExit(1)


def in_library(act: Callable[[], None]) -> Callable[[], None]:
    """A call of the library whose expected errors end as the command line's do."""

    def call() -> None:
        from hybridir_mteb.errors import HybridIRError

        try:
            act()
        except (HybridIRError, OSError) as error:
            if isinstance(error, HybridIRError) or error.errno in {ENOSPC, EFBIG}:
                refuse(error)
            raise

    return call


def encode_for_beir() -> None:
    """Save embeddings as BEIR's users do, and search them."""
    from toys.beir import BeirHash

    from hybridir_mteb.adapters.beir import BeirEncoder, ExactSearch

    corpus, queries, _ = toy_set(40, 8, prefix="d", distinct=True)
    search = ExactSearch(BeirEncoder(BeirHash()), corpus_chunk_size=8)
    search.encode(corpus, queries, encode_output_path="embeddings")
    search_saved()


def search_saved() -> None:
    """Search saved embeddings."""
    from toys.beir import BeirHash

    from hybridir_mteb.adapters.beir import BeirEncoder, ExactSearch
    from hybridir_mteb.files import write_text

    search = ExactSearch(BeirEncoder(BeirHash()), corpus_chunk_size=8)
    found = search.search_from_files(
        query_embeddings_file="embeddings/queries.pkl",
        corpus_embeddings_files=sorted(map(str, Path("embeddings").glob("corpus.*.pkl"))),
        top_k=10,
    )
    write_text(Path("found.json"), json.dumps(found, sort_keys=True))


def of_beir(home: Path) -> Any:
    """What a search of saved embeddings found."""
    return json.loads((home / "found.json").read_text())


def search(encoder: str = BASE, task: str = STREAMED, output: str = "out") -> tuple[str, ...]:
    """The command that searches."""
    return hybridir("search", encoder, task, "--output", output)


BIAS = ("run.trec", "qrels.trec", "--doc-lang", "docs.tsv", "--query-lang", "queries.tsv")


def write_run(box: Sandbox) -> None:
    """A run with judgements and languages of a parallel collection."""
    from toys.bias import Parallel

    made = Parallel.make()
    run = made.run(made.random_scores(0))
    lines = {
        "run.trec": [
            f"{q} Q0 {d} {at} {score} toy"
            for q, found in run.items()
            for at, (d, score) in enumerate(found.items(), 1)
        ],
        "qrels.trec": [f"{q} 0 {d} 1" for q, found in made.qrels.items() for d in found],
        "docs.tsv": [f"{d}\t{code}" for d, code in made.maps[0].items()],
        "queries.tsv": [f"{q}\t{code}\t{made.maps[2][q]}" for q, code in made.maps[1].items()],
    }
    for name, some in lines.items():
        (box.home / name).write_text("\n".join(some) + "\n")


OPERATIONS = (
    Operation("search", search(), nothing, of_search, SHARD),
    Operation(
        "mteb",
        ("mteb", "run", "-m", BASE, "-t", PARALLEL, "--output-folder", "out"),
        nothing,
        of_mteb,
        BATCH,
    ),
    Operation("import", hybridir("models", "import", "encoder.zip"), with_archive, of_store),
    Operation(
        "models-export",
        hybridir("models", "export", DEBIASED, "encoder.zip"),
        with_debiased,
        of_zip,
    ),
    Operation("debias", DEBIAS, write_texts, of_store, BATCH),
    Operation("export", hybridir("export", "beir", PARALLEL, "out"), nothing, of_folder("out")),
    Operation("data-add", hybridir("data", "add", "Toy", "beir"), write_beir, of_collection),
    Operation("beir", in_library(encode_for_beir), nothing, of_beir, SHARD),
    Operation(
        "plot", hybridir("bias", *BIAS, "--plot", "bias.svg"), write_run, of_folder("bias.svg")
    ),
    Operation("train", hybridir("train", "recipe.yaml"), with_recipe, of_store, slow=True),
)
BY_NAME = {operation.name: operation for operation in OPERATIONS}
