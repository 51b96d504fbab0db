"""Two and three processes at once on one store, with a third that clears the cache meanwhile."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from faults.corruptions import difference
from faults.operations import BY_NAME, DEBIASED, FEW, fresh, hybridir, search, unbroken
from faults.result import Outcome, Result
from faults.sandbox import Command, Ran, Sandbox

NAME = "together"
# Operation, how many at once, what else runs meanwhile, cases of the whole campaign.
CLEAR = (hybridir("cache", "clear"), hybridir("cache", "clear", "--shards"))
LOOK = (hybridir("cache", "info"), hybridir("models", "list"), hybridir("data", "list"))
MIXES: tuple[tuple[str, str, int, Sequence[Command], int], ...] = (
    ("search-2", "search", 2, (), 12),
    ("search-3", "search", 3, (), 12),
    ("search-cleared", "search", 2, CLEAR, 16),
    ("search-elsewhere", "search", 2, (search(output="other"),), 8),
    ("mteb-2", "mteb", 2, (), 12),
    ("mteb-cleared", "mteb", 2, CLEAR, 16),
    ("import-3", "import", 3, LOOK, 16),
    ("import-removed", "import", 2, (hybridir("models", "rm", DEBIASED),), 12),
    ("debias-2", "debias", 2, LOOK, 12),
    ("export-3", "export", 3, (), 16),
    ("data-add-3", "data-add", 3, LOOK, 16),
    ("data-add-removed", "data-add", 2, (hybridir("data", "remove", "Toy"),), 12),
    ("beir-2", "beir", 2, (), 16),
    ("train-2", "train", 2, (), 4),
    ("train-looked", "train", 2, LOOK, 2),
)


def run(box: Sandbox, amount: float, wanted: Callable[[str], bool], seed: int) -> Iterator[Result]:
    """Start several commands at nearly the same time."""
    for name, operation, count, others, cases in MIXES:
        of = BY_NAME[operation]
        if not wanted(f"{name}:") or (of.slow and amount < FEW):
            continue
        command = fresh(of.command)
        kept, whole, expected = unbroken(box, name, of.prepare, command, of.result)
        for at in range(max(1, round(cases * amount))):
            case = f"{name}:{at}"
            if wanted(case):
                box.put_back(kept)
                rng = random.Random(f"{seed} {NAME} {case}")
                ran = _at_once(box, [of.command] * count, others, rng, whole.seconds)
                yield _judge(box, case, ran, of, expected)


def _at_once(
    box: Sandbox, same: list[Command], others: Sequence[Command], rng: random.Random, lasts: float
) -> tuple[list[Ran], list[Ran]]:
    """Run commands side by side, begun within a moment of one another."""
    begun = []
    everything = [(command, True) for command in same] + [(other, False) for other in others]
    rng.shuffle(everything)
    for command, main in everything:
        begun.append((box.start(fresh(command)), main))
        time.sleep(rng.choice((0, 0, rng.uniform(0, lasts / 2))))
    ended = [(process.wait(), main) for process, main in begun]
    return [r for r, main in ended if main], [r for r, main in ended if not main]


def _judge(
    box: Sandbox, case: str, ran: tuple[list[Ran], list[Ran]], of: Any, expected: Any
) -> Result:
    same, others = ran
    for one in (*same, *others):
        if one.hung:
            return Result(case, Outcome.HUNG, one.err[-300:])
        if one.code != 0 and not one.one_line:
            return Result(case, Outcome.TRACEBACK, f"{one.code} {one.failed} {one.err[-400:]}")
    removed = "removed" in case or "cleared" in case
    right = [one for one in same if one.code == 0]
    if not right and not removed:
        return Result(case, Outcome.UNDETECTED, f"none came through: {same[0].said[-1:]}")
    if seen := _wrong(box.home, of, expected):
        if not removed or "differs" in seen:
            return Result(case, Outcome.WRONG, seen)
        again = box.run(fresh(of.command))  # what was removed is made again
        if again.code != 0 or (seen := _wrong(box.home, of, expected)):
            return Result(case, Outcome.WRONG, f"rerun: {seen}", rerun_equal=False)
        return Result(case, Outcome.RIGHT, rerun_equal=True)
    return Result(case, Outcome.RIGHT if len(right) == len(same) else Outcome.REFUSED)


def _wrong(home: Path, of: Any, expected: Any) -> str:
    try:
        found = of.result(home)
    except (OSError, ValueError) as error:
        return repr(error)
    return "" if found == expected else f"differs: {difference(expected, found)}"
