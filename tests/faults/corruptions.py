"""Damaged files: every record and payload that the package writes, damaged in many ways.

After the damage the user's command is run again: it gives the right result or one line of error.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faults.operations import (
    BY_NAME,
    DEBIASED,
    FEW,
    STREAMED,
    TRAINED,
    fresh,
    hybridir,
    in_library,
    of_beir,
    of_mteb,
    of_search,
    of_store,
    refuse,
    search,
    search_saved,
    succeed,
    unbroken,
    with_archive,
    with_collection,
    with_debiased,
    with_recipe,
)
from faults.result import Outcome, Result
from faults.sandbox import Breaks, Command, Ran, Sandbox

NAME = "corruptions"


@dataclass(frozen=True)
class Stored:
    """What lies on a disk and is used again.

    Attributes:
        name: In ids of cases.
        make: Makes it, in an empty sandbox.
        files: Patterns of the files that are damaged, below the sandbox.
        use: What uses it.
        result: What counts of what that leaves.
        cases: How many are tried in the whole campaign.
        registers: Whether encoders and collections are registered anew.
        ways: The kinds of damage; by default all.
    """

    name: str
    make: Callable[[Sandbox], None]
    files: tuple[str, ...]
    use: Command
    result: Callable[[Path], Any]
    cases: int
    registers: bool = True
    ways: tuple[str, ...] = ()


Damage = Callable[[bytes, random.Random], bytes]


def _flip_bit(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _other_digit(data: bytes, rng: random.Random) -> bytes:
    """One digit of a number, or one letter, is another: what a checksum alone can see."""
    places = [at for at, byte in enumerate(data) if chr(byte).isalnum() and byte < 128]
    if not places:
        return _flip_bit(data, rng)
    at = rng.choice(places)
    kind = b"0123456789" if chr(data[at]).isdigit() else b"abcdefghijklmnopqrstuvwxyz"
    other = rng.choice([byte for byte in kind if byte != data[at]])
    return data[:at] + bytes([other]) + data[at + 1 :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.randint(1, 16)) + data[at:]


def _remove(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.randint(1, 16) :]


def _zeros(data: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(data)), rng.choice((1, 16, 512, 4096))
    part = data[at : at + size]
    return data[:at] + bytes(len(part)) + data[at + size :]


def _append(data: bytes, rng: random.Random) -> bytes:
    return data + (data[: rng.randint(1, len(data))] if rng.random() < 0.5 else rng.randbytes(9))


IN_BYTES: dict[str, Damage] = {
    "bit": _flip_bit,
    "digit": _other_digit,
    "cut": _cut,
    "insert": _insert,
    "remove": _remove,
    "zeros": _zeros,
    "append": _append,
}
OF_FILES = ("empty", "delete", "folder", "swap", "other")
WEIGHTS = {"digit": 4, "bit": 3, "swap": 3, "zeros": 2}


def damage(files: list[Path], way: str, rng: random.Random) -> tuple[Path, bool]:
    """Damage one of some files.

    Returns:
        The file, and whether anything differs now.
    """
    path = rng.choice(files)
    before = path.read_bytes()
    if way in IN_BYTES:
        after = IN_BYTES[way](before, rng) if before else b"\0"
        path.write_bytes(after)
        return path, after != before
    if way == "delete":
        path.unlink()
    elif way == "empty":
        path.write_bytes(b"")
    elif way == "folder":
        path.unlink()
        path.mkdir()
    else:  # swap: two files change places; other: one is the other's copy
        alike = [one for one in files if one.suffix == path.suffix and one != path]
        same = [one for one in alike if one.name == path.name]
        if not alike:
            return path, False
        second = rng.choice(same or alike)
        there = second.read_bytes()
        path.write_bytes(there)
        if way == "swap":
            second.write_bytes(before)
        return path, there != before
    return path, True


def run(box: Sandbox, amount: float, wanted: Callable[[str], bool], seed: int) -> Iterator[Result]:
    """Damage what each command stores, and use it."""
    for stored in STORED:
        slow = stored.make is half_trained and amount < FEW
        if wanted(f"{stored.name}:") and not slow:
            yield from _damage_all(box, stored, amount, wanted, seed)


def _damage_all(
    box: Sandbox, stored: Stored, amount: float, wanted: Callable[[str], bool], seed: int
) -> Iterator[Result]:
    use = fresh(stored.use) if stored.registers else stored.use
    kept, _, expected = unbroken(box, stored.name, stored.make, use, stored.result)
    names = [p.relative_to(kept) for pattern in stored.files for p in kept.glob(pattern)]
    names = sorted({name for name in names if (kept / name).is_file()})
    ways = stored.ways or (*IN_BYTES, *OF_FILES)
    for at in range(max(3, round(stored.cases * amount))):
        rng = random.Random(f"{seed} {NAME} {stored.name} {at}")
        way = rng.choices(ways, [WEIGHTS.get(one, 1) for one in ways])[0]
        case = f"{stored.name}:{at}-{way}"
        if wanted(case):
            box.put_back(kept)
            path, differs = damage([box.home / name for name in names], way, rng)
            what = f"{way} of {path.relative_to(box.home)}"
            if differs:
                yield judge(box.run(use), case, what, lambda: stored.result(box.home), expected)


def judge(ran: Ran, case: str, what: str, result: Callable[[], Any], expected: Any) -> Result:
    """What became of a command after damage.

    Args:
        ran: The command.
        case: Id of the case.
        what: The damage, in words.
        result: Reads what counts of what the command left.
        expected: What an unbroken run leaves.
    """
    if ran.hung:
        return Result(case, Outcome.HUNG, what)
    if ran.code != 0:
        if ran.one_line:
            return Result(case, Outcome.REFUSED, ran.said[-1])
        seen = f"{what}: {ran.code} {ran.failed or ran.err[-500:]}"
        return Result(case, Outcome.TRACEBACK, seen)
    if "Traceback" in ran.err:
        return Result(case, Outcome.TRACEBACK, f"{what}: {ran.err[-500:]}")
    try:
        found = result()
    except (OSError, ValueError, KeyError) as error:
        return Result(case, Outcome.UNDETECTED, f"{what}: exit status 0, but {error!r}")
    if found != expected:
        seen = f"{what}: {difference(expected, found)}"
        return Result(case, Outcome.WRONG, seen)
    return Result(case, Outcome.RIGHT)


def difference(expected: Any, found: Any) -> str:
    """What differs, cut."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [k for k in {*expected, *found} if expected.get(k) != found.get(k)]
        return "; ".join(f"{k}: {difference(expected.get(k), found.get(k))}" for k in keys[:3])
    return f"{expected!r:.150} became {found!r:.150}"


# States ---------------------------------------------------------------------------------------


def fill_and_search() -> None:
    """Fill the shards of forty passages, and search them: the library, without MTEB."""
    from toys.shards import Encoder, key, numbered, vector_of

    from hybridir_mteb.errors import HybridIRError
    from hybridir_mteb.files import write_text
    from hybridir_mteb.ranking.shards.fill import fill
    from hybridir_mteb.ranking.shards.folder import ShardFolder
    from hybridir_mteb.ranking.shards.search import search as search_shards

    try:
        folder = ShardFolder(Path("shards"), key(rows=SHARD_ROWS))
        if not folder.complete:
            fill(folder, numbered(40), Encoder())
        queries = np.stack([vector_of(f"query {at}") for at in range(4)])
        hits = search_shards(queries, [folder], 12)
        found = {
            "n": folder.n_passages,
            "ids": [folder.ids(row) for row in hits.rows],
            "scores": hits.scores.tolist(),
        }
        write_text(Path("found.json"), json.dumps(found))
    except HybridIRError as error:
        refuse(error)


SHARD_ROWS = 8


def filled(box: Sandbox) -> None:
    """Shards, and nothing else."""
    done = box.run(fill_and_search)
    assert done.code == 0, done.err
    (box.home / "found.json").unlink()


def searched(box: Sandbox) -> None:
    """Shards and embeddings of a search."""
    succeed(box, search())
    shutil.rmtree(box.home / "out")


def evaluated(box: Sandbox) -> None:
    """Embeddings of an evaluation by MTEB."""
    succeed(box, BY_NAME["mteb"].command)
    shutil.rmtree(box.home / "out")


def with_outputs(box: Sandbox) -> None:
    """What a search writes."""
    succeed(box, search())


def collection_searched(box: Sandbox) -> None:
    """An added collection, its digests and shards."""
    with_collection(box)
    succeed(box, search(task="Toy"))
    shutil.rmtree(box.home / "out")
    shutil.rmtree(box.home / "cache" / "shards")


def words_searched(box: Sandbox) -> None:
    """Tables for a model that searches by itself."""
    succeed(box, WORDS)
    shutil.rmtree(box.home / "out")


def trained(box: Sandbox) -> None:
    """A trained adapter."""
    with_recipe(box)
    succeed(box, BY_NAME["train"].command)


def half_trained(box: Sandbox) -> None:
    """The folder of a run that was killed."""
    with_recipe(box)
    whole = box.run(fresh(BY_NAME["train"].command))
    shutil.rmtree(box.home / "store")
    box.run(fresh(BY_NAME["train"].command), Breaks(at_event=round(whole.events * 0.8)))
    assert list((box.home / "store" / ".runs").glob("*/checkpoint-*"))


def saved_for_beir(box: Sandbox) -> None:
    """Saved embeddings."""
    done = box.run(BY_NAME["beir"].command)
    assert done.code == 0, done.err
    (box.home / "found.json").unlink()


def downloaded(box: Sandbox) -> None:
    """A folder of files as a download leaves it."""
    done = box.run(_download)
    assert done.code == 0, done.err


def _hub_folder() -> Any:
    from hybridir_mteb.collections.download import HubFolder

    return HubFolder("toy/toy", "1" * 40, "corpus", 3, "toy/corpus", "hybridir data fetch Toy")


def _download() -> None:
    """What fetch_folder leaves, by fetch_folder itself with a hub of its own."""
    import gzip
    import types

    import huggingface_hub

    from hybridir_mteb.collections.download import fetch_folder
    from hybridir_mteb.files import sha256_of

    place = Path("hub-files")
    place.mkdir()
    for at in range(3):
        rows = [{"docid": f"{at}#{n}", "title": "", "text": f"text {at} {n}"} for n in range(5)]
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        (place / f"docs-{at}.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))

    def info(repository: str, names: list[str], **_: Any) -> list[Any]:
        return [
            types.SimpleNamespace(
                path=name, lfs=types.SimpleNamespace(sha256=sha256_of(place / Path(name).name))
            )
            for name in names
        ]

    def fetch(repository: str, name: str, *, local_dir: Path, **_: Any) -> str:
        target = Path(local_dir) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place / Path(name).name, target)
        return str(target)

    huggingface_hub.HfApi = lambda: types.SimpleNamespace(get_paths_info=info)
    huggingface_hub.hf_hub_download = fetch
    os.environ["HF_HUB_OFFLINE"] = "0"
    fetch_folder(_hub_folder())
    shutil.rmtree(place)


def _read_downloaded() -> None:
    from hybridir_mteb.collections.readers.miracl import miracl_passages
    from hybridir_mteb.files import write_text

    rows = [[p.id, p.content] for p in miracl_passages("sw", _hub_folder(), 15).passages()]
    write_text(Path("found.json"), json.dumps(rows))


WORDS = ("mteb", "run", "-m", "pins/words", "-t", STREAMED, "--output-folder", "out")


def of_words(home: Path) -> Any:
    """The results of the model that searches."""
    from end_to_end.pin_runs import settled

    (path,) = (home / "out").rglob(f"{STREAMED}.json")
    return settled(json.loads(path.read_text()))


STORED = (
    Stored("shards", filled, ("shards/**/*",), fill_and_search, of_beir, 1500, registers=False),
    Stored("search", searched, ("cache/shards/**/*",), search(), of_search, 120),
    Stored("embeddings", evaluated, ("cache/**/*",), BY_NAME["mteb"].command, of_mteb, 150),
    Stored("store", searched, ("cache/embeddings/*",), search(), of_search, 80),
    Stored(
        "collection",
        collection_searched,
        ("collections/*", "cache/*.json", "beir/**/*"),
        search(task="Toy"),
        of_search,
        200,
    ),
    Stored("debiaser", with_debiased, ("store/**/*",), search(DEBIASED), of_search, 200),
    Stored("adapter", trained, ("store/*/*/*",), search(TRAINED), of_search, 60),
    Stored(
        "archive",
        with_archive,
        ("encoder.zip",),
        hybridir("models", "import", "encoder.zip"),
        of_store,
        150,
    ),
    Stored(
        "beir",
        saved_for_beir,
        ("embeddings/*",),
        in_library(search_saved),
        of_beir,
        400,
        registers=False,
    ),
    Stored(
        "download",
        downloaded,
        ("cache/data/**/*",),
        in_library(_read_downloaded),
        of_beir,
        300,
        registers=False,
    ),
    Stored("tables", words_searched, ("cache/corpora/*",), WORDS, of_words, 100),
    Stored("outputs", with_outputs, ("out/*",), search(), of_search, 120),
    Stored(
        "run-folder", half_trained, ("store/.runs/*/**/*",), BY_NAME["train"].command, of_store, 30
    ),
)
