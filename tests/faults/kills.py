"""Processes that are killed, and run again: the result is that of an unbroken run, to the bit.

A process dies before a change of a file, between two texts, at a random moment, or in the middle
of a write (a file may not grow beyond some bytes, and the kernel's signal for that kills).
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from typing import Any

from faults.operations import FEW, OPERATIONS, Operation, fresh, name_what_mteb_left, unbroken
from faults.result import Outcome, Result
from faults.sandbox import Breaks, Ran, Sandbox

NAME = "kills"


def run(box: Sandbox, amount: float, wanted: Callable[[str], bool], seed: int) -> Iterator[Result]:
    """Kill each operation at many moments."""
    for operation in OPERATIONS:
        few = operation.slow and amount < FEW
        if wanted(f"{operation.name}:") and not few:
            yield from _kill(box, operation, amount, wanted, seed)


def _kill(
    box: Sandbox, operation: Operation, amount: float, wanted: Callable[[str], bool], seed: int
) -> Iterator[Result]:
    command, result = fresh(operation.command), operation.result
    kept, whole, expected = unbroken(box, operation.name, operation.prepare, command, result)
    largest = max(p.stat().st_size for p in box.home.rglob("*") if p.is_file())
    for moment, breaks in _moments(whole, largest, operation, amount, seed):
        case = f"{operation.name}:{moment}"
        if wanted(case):
            box.put_back(kept)
            yield _one(box, operation, case, breaks, (whole, expected))


def _moments(
    whole: Ran, largest: int, operation: Operation, amount: float, seed: int
) -> Iterator[tuple[str, Breaks]]:
    """Chosen and random moments, the same for the same seed."""
    rng = random.Random(f"{seed} kills {operation.name}")
    share = amount / 4 if operation.slow else amount
    events = _some(rng, range(1, whole.events + 1), 45 * share)
    yield from ((f"event-{at}", Breaks(at_event=at)) for at in events)
    texts = _some(rng, range(1, whole.texts + 1, max(1, operation.unit // 4)), 12 * share)
    yield from ((f"text-{at}", Breaks(at_text=at)) for at in texts)
    sizes = sorted(int(2 ** rng.uniform(0, largest.bit_length())) for _ in range(round(12 * share)))
    yield from (
        (f"write-{at}-{size}", Breaks(largest_file=size, kill=True))
        for at, size in enumerate(sizes)
    )
    for at in range(round(12 * share)):
        after = rng.uniform(0.05, 1) * whole.seconds
        yield f"moment-{at}", Breaks(after_s=after)


def _some(rng: random.Random, all_of: range, most: float) -> list[int]:
    count = max(1, round(most))
    return list(all_of) if len(all_of) <= count else sorted(rng.sample(all_of, count))


def _one(
    box: Sandbox, operation: Operation, case: str, breaks: Breaks, unbroken: tuple[Ran, Any]
) -> Result:
    whole, expected = unbroken
    broken = box.run(fresh(operation.command), breaks)
    if broken.code not in {0, -signal.SIGKILL, -signal.SIGXFSZ} and not broken.one_line:
        return Result(case, Outcome.TRACEBACK, f"killed: {broken.code} {broken.err[-600:]}")
    if operation.name == "mteb" and (wrong := name_what_mteb_left(box)):
        return Result(case, Outcome.UNDETECTED, wrong, rerun_equal=False)
    again = box.run(fresh(operation.command))
    if again.hung:
        return Result(case, Outcome.HUNG, "the rerun", rerun_equal=False)
    if again.code != 0 and not again.one_line:
        return Result(case, Outcome.TRACEBACK, again.err[-600:], rerun_equal=False)
    try:
        found = operation.result(box.home)
    except (OSError, ValueError) as error:
        seen = f"no result after the rerun: {error!r}; {again.said[-1:]}"
        return Result(case, Outcome.UNDETECTED, seen, rerun_equal=False)
    twice = None
    if operation.unit:
        twice = -(-max(0, broken.texts + again.texts - whole.texts) // operation.unit)
    if found != expected:
        seen = f"rerun differs: {_difference(expected, found)}"
        return Result(case, Outcome.WRONG, seen, again=twice, rerun_equal=False)
    return Result(case, Outcome.RIGHT, again=twice, rerun_equal=True)


def _difference(expected: Any, found: Any) -> str:
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [k for k in {*expected, *found} if expected.get(k) != found.get(k)]
        return f"{keys[:5]} {str([(expected.get(k), found.get(k)) for k in keys[:2]])[:300]}"
    return f"{expected!r:.150} != {found!r:.150}"
