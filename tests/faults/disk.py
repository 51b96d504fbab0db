"""Full disks: a small file system of its own where the user is root, and files that may not grow.

The command gives one line of error, or the right result without what did not fit; with room again,
its rerun gives the result of an unbroken run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from faults.corruptions import difference
from faults.operations import (
    FEW,
    OPERATIONS,
    PARALLEL,
    STREAMED,
    Operation,
    fresh,
    hybridir,
    name_what_mteb_left,
    nothing,
    of_folder,
    unbroken,
    with_outputs_of_mteb,
)
from faults.result import Outcome, Result
from faults.sandbox import Breaks, Ran, Sandbox
from faults.small_disk import PAGE, SmallDisk

NAME = "disk"
CAUSES = ("space", "room", "disk", "full", "large")  # words that name it

MORE = (
    Operation(
        "export-trec", hybridir("export", "trec", STREAMED, "out"), nothing, of_folder("out")
    ),
    Operation(
        "export-jsonl", hybridir("export", "jsonl", PARALLEL, "out"), nothing, of_folder("out")
    ),
    Operation("results", hybridir("report", "out"), with_outputs_of_mteb, lambda _: ""),
)


def run(box: Sandbox, amount: float, wanted: Callable[[str], bool], seed: int) -> Iterator[Result]:
    """Each operation with less room than it needs."""
    box.put_back()
    disk = SmallDisk(box.home)
    try:
        for operation in (*OPERATIONS, *MORE):
            if wanted(f"{operation.name}:") and not (operation.slow and amount < FEW):
                yield from _fill(box, disk, operation, amount, wanted, seed)
    finally:
        disk.close()


def _fill(
    box: Sandbox,
    disk: SmallDisk,
    operation: Operation,
    amount: float,
    wanted: Callable[[str], bool],
    seed: int,
) -> Iterator[Result]:
    if disk.mounted:
        disk.leave(None)
    command, result = fresh(operation.command), operation.result
    kept, _, expected = unbroken(box, operation.name, operation.prepare, command, result)
    needed = max(_bytes(box.home) - _bytes(kept), 8 * PAGE)
    rng = random.Random(f"{seed} disk {operation.name}")
    count = max(1, round((4 if operation.slow else 12) * amount))
    rooms = [0, *(rng.randrange(needed) // PAGE * PAGE for _ in range(count - 1))]
    sizes = [0, *(int(2 ** rng.uniform(0, needed.bit_length())) for _ in range(count - 1))]
    cases = [(f"file-{at}-{size}", size, True) for at, size in enumerate(sizes)]
    if disk.mounted:
        cases += [(f"disk-{at}-{room}", room, False) for at, room in enumerate(rooms)]
    for name, room, of_file in cases:
        case = f"{operation.name}:{name}"
        if not wanted(case):
            continue
        if disk.mounted:
            disk.leave(None)
        box.put_back(kept)
        if not of_file:
            disk.leave(room)
        ran = box.run(fresh(operation.command), Breaks(largest_file=room if of_file else None))
        if disk.mounted:
            disk.leave(None)
        yield _one(box, operation, case, ran, expected)


def _one(box: Sandbox, operation: Operation, case: str, ran: Ran, expected: Any) -> Result:
    host = operation.name == "mteb" and "OSError" in ran.failed
    if ran.hung:
        return Result(case, Outcome.HUNG)
    if ran.code != 0 and not (ran.one_line or host):
        return Result(case, Outcome.TRACEBACK, f"{ran.code} {ran.failed} {ran.err[-400:]}")
    if ran.code != 0 and not host and not any(word in ran.said[-1] for word in CAUSES):
        return Result(case, Outcome.UNDETECTED, f"names another cause: {ran.said[-1]}")
    if operation.name == "mteb" and (wrong := name_what_mteb_left(box)):
        return Result(case, Outcome.UNDETECTED, wrong)
    if ran.code == 0 and (seen := _wrong(box, operation, expected)):
        return Result(case, Outcome.UNDETECTED, f"exit status 0, but {seen}")
    again = box.run(fresh(operation.command))
    if again.code != 0 and not again.one_line:
        return Result(case, Outcome.TRACEBACK, f"rerun: {again.err[-400:]}", rerun_equal=False)
    if seen := _wrong(box, operation, expected):
        return Result(case, Outcome.WRONG, f"rerun: {seen} {again.said[-1:]}", rerun_equal=False)
    outcome = Outcome.RIGHT if ran.code == 0 else Outcome.REFUSED
    return Result(case, outcome, rerun_equal=True)


def _wrong(box: Sandbox, operation: Operation, expected: Any) -> str:
    try:
        found = operation.result(box.home)
    except (OSError, ValueError) as error:
        return repr(error)
    return "" if found == expected else difference(expected, found)


def _bytes(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(-(-path.stat().st_size // PAGE) * PAGE for path in files)
