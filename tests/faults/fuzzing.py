"""Inputs made of samples by damage, of every reader: a value or an error of the package, no other.

Fixed seeds; an input is named by its reader and its number.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from faults.corruptions import IN_BYTES, filled
from faults.operations import DEBIASED, fresh, hybridir, search, with_collection, with_debiased
from faults.readers import Reader, readers
from faults.result import Outcome, Result
from faults.sandbox import Sandbox

NAME = "fuzzing"
INPUTS = 40_000  # of the whole campaign, over all readers
AT_ONCE = 250  # inputs of one process
LONGEST_S = 10

TOKENS = [
    *("null", "true", "NaN", "-Infinity", "1e999", "1_0", "٣", "9" * 5000, "-0", "1e300", "0x1"),
    *('"\\ud800"', "[]", "{}", '""', "[[]]", '{"a":1,"a":2}', "[" * 3000, '{"a":' * 3000),
    *("\ufeff", "\u2028", "\x85", "\x00", "\x1b[31m", "\r", "\t", "\n", " ", "\u202e", "é" * 300),
    *("../../x", "/", "[/]", "[bold]", "%s", "{}", "\\", "'", '"', ",", ":", "#", "&a *a", "!!x"),
]
_TRUTHS: dict[str, Any] = {"a": 1}
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 1e300, 10**400, "", "x", "\ud800", "1_0", [], [[]], {}),
    *({"a": None}, ["x"], [None], "de", "\x1b]0;x\x07", "../x", "x" * 10_000, _TRUTHS),
]


def run(box: Sandbox, amount: float, wanted: Callable[[str], bool], seed: int) -> Iterator[Result]:
    """Give every reader its share of the inputs."""
    root = box.root / "samples"
    if not root.exists():
        _samples(box, root)
    box.put_back()
    everyone = readers(root)
    each = max(4, round(INPUTS * amount / len(everyone)))
    for reader in everyone:
        if wanted(f"{reader.name}:"):
            yield from _fuzz(box, reader, each, wanted, seed)


def _samples(box: Sandbox, root: Path) -> None:
    """Files that only the package can make."""
    root.mkdir()
    box.put_back()
    with_debiased(box)
    (path,) = (box.home / "store").glob("*/*/debiaser.safetensors")
    shutil.copy(path, root)
    assert box.run(fresh(hybridir("models", "export", DEBIASED, "encoder.zip"))).code == 0
    shutil.copy(box.home / "encoder.zip", root)
    box.put_back()
    with_collection(box)
    assert box.run(fresh(search(task="Toy"))).code == 0
    shutil.copy(box.home / "collections" / "Toy.json", root)
    shutil.copy(box.home / "cache" / "digests.json", root)
    box.put_back()
    filled(box)
    (folder,) = (box.home / "shards").iterdir()
    for name in ("end.json", "manifest.json"):
        shutil.copy(folder / name, root)
    shutil.copytree(folder / "00000000", root / "shard")


def _fuzz(
    box: Sandbox, reader: Reader, each: int, wanted: Callable[[str], bool], seed: int
) -> Iterator[Result]:
    """The sample itself, what must be refused, and damaged samples."""
    numbers = [at for at in range(each) if wanted(f"{reader.name}:{at}")]
    for start in range(0, len(numbers), AT_ONCE):
        part = numbers[start : start + AT_ONCE]
        while part:
            seen = _in_fork(box, reader, part, seed)
            yield from seen
            if len(seen) < len(part):  # the process ended over the next one
                case = f"{reader.name}:{part[len(seen)]}"
                yield Result(case, Outcome.TRACEBACK, "the process was ended, or hung")
                seen.append(seen[-1] if seen else Result(case, Outcome.TRACEBACK))
            part = part[len(seen) :]


def _in_fork(box: Sandbox, reader: Reader, numbers: list[int], seed: int) -> list[Result]:
    found = box.root / "fuzzed.jsonl"
    found.unlink(missing_ok=True)

    def act() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        with found.open("w", encoding="utf-8", errors="backslashreplace") as stream:
            for at in numbers:
                signal.alarm(LONGEST_S)
                outcome, detail = _one(reader, at, seed)
                stream.write(json.dumps([at, outcome, detail]) + "\n")
                stream.flush()

    box.run(act)
    lines = found.read_text(encoding="utf-8").splitlines() if found.exists() else []
    rows = [json.loads(line) for line in lines]
    return [Result(f"{reader.name}:{at}", Outcome(out), why) for at, out, why in rows]


def _one(reader: Reader, at: int, seed: int) -> tuple[str, str]:
    """What a reader does with input number ``at``: 0 is the sample, then what must be refused."""
    from hybridir_mteb.errors import HybridIRError

    folder = Path("fuzz")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    content, must_fail = reader.sample, False
    if 0 < at <= len(reader.refused):
        content, must_fail = reader.refused[at - 1], True
    elif at:
        content = damaged(reader.sample, random.Random(f"{seed} fuzzing {reader.name} {at}"))
    os.environ["HYBRIDIR_MODEL_STORE"] = str(folder.absolute() / "models")
    path = reader.write(folder, content)
    quiet = io.StringIO()
    try:
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            value = reader.read(path)
    except HybridIRError as error:
        said = str(error)
        if not at:
            return Outcome.TRACEBACK, f"the sample is refused: {said}"
        if "\n" in said:
            return Outcome.TRACEBACK, f"more than one line: {said[:300]!r}"
        return Outcome.REFUSED, ""
    except OSError as error:
        if error.filename:  # one line, by the command
            return Outcome.REFUSED, ""
        return Outcome.TRACEBACK, _seen(error, content)
    except BaseException as error:  # noqa: BLE001 -- what the campaign looks for
        return Outcome.TRACEBACK, _seen(error, content)
    if must_fail:
        return Outcome.WRONG, f"{content[:150]!r} gave {value!r:.150}"
    return Outcome.RIGHT, ""


def _seen(error: BaseException, content: bytes) -> str:
    where = traceback.extract_tb(error.__traceback__)
    own = [f for f in where if "hybridir_mteb" in f.filename] or list(where)
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno}"
    return f"{type(error).__name__}: {error!s:.150} at {place}; {len(content)} bytes"


def damaged(sample: bytes, rng: random.Random) -> bytes:
    """A sample with damage: of bytes, of tokens, of lines, or of the values of its JSON."""
    makers: list[Callable[[bytes, random.Random], bytes]] = [
        *IN_BYTES.values(),
        _with_token,
        _with_token,
        _lines_mixed,
        _with_values,
        _with_values,
        _with_values,
    ]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        sample = rng.choice(makers)(sample or b"\0", rng)
    return sample if rng.random() > 0.02 else rng.randbytes(rng.randint(0, 300))


def _with_token(data: bytes, rng: random.Random) -> bytes:
    """A token in place of what stands between two delimiters, or put in."""
    token = rng.choice(TOKENS).encode("utf-8", "surrogatepass")
    places = [at for at, byte in enumerate(data) if byte in b' \t\n\r,:[]{}"']
    if not places or rng.random() < 0.3:
        at = rng.randrange(len(data) + 1)
        return data[:at] + token + data[at:]
    start = rng.randrange(len(places))
    stop = places[start + 1] if start + 1 < len(places) else len(data)
    return data[: places[start] + 1] + token + data[max(stop, places[start] + 1) :]


def _lines_mixed(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            lines.insert(at, lines[other])
        case 1:
            del lines[at]
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = lines[at] + b"\r"
        case _:
            lines.insert(at, rng.choice((b"", b" ", b"\t", b"\x1c", b"#", b"null", b"[1]", b"0")))
    return b"\n".join(lines)


def _with_values(data: bytes, rng: random.Random) -> bytes:
    """Another value, key or type somewhere in a JSON document, or in one of its lines."""
    lines = [data]
    with contextlib.suppress(ValueError, RecursionError):
        json.loads(data)
        return _changed(data, rng)
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    with contextlib.suppress(ValueError, RecursionError):
        lines[at] = _changed(lines[at], rng)
    return b"\n".join(lines)


def _changed(text: bytes, rng: random.Random) -> bytes:
    document = [json.loads(text)]
    places: list[tuple[Any, Any]] = [(document, 0)]
    for holder, key in places:
        inside = holder[key]
        if len(places) < 2000 and isinstance(inside, dict | list):
            keys = inside if isinstance(inside, dict) else range(len(inside))
            places += [(inside, one) for one in keys]
    holder, key = rng.choice(places)
    if isinstance(holder, dict) and rng.random() < 0.3:
        value = holder.pop(key)
        if rng.random() < 0.5:
            holder[rng.choice(("x", "", "\ud800", "_id", "\x1b", key.upper()))] = value
    else:
        holder[key] = rng.choice(VALUES)
    return json.dumps(document[0], ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
