"""What became of one case, and the counts of many."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SHOWN = 60  # failures that a report lists of a kind
ALIKE = 3  # of them, those that look alike
DETAIL = 400  # characters


class Outcome(StrEnum):
    """Right and refused are what the package promises; the others are failures."""

    RIGHT = "right"  # the result of an unbroken run
    REFUSED = "refused"  # one line of error
    UNDETECTED = "undetected"  # something else than the right result, without an error
    WRONG = "wrong_numbers"  # undetected, and numbers differ
    TRACEBACK = "tracebacks"  # an exception that is not the package's, or more than one line
    HUNG = "hung"
    LEFT = "left_behind"  # files that nobody sweeps


PROMISED = {Outcome.RIGHT, Outcome.REFUSED}


@dataclass(frozen=True)
class Result:
    """One case.

    Attributes:
        case: Its id, by which it can be run again.
        outcome: What became of it.
        detail: What was seen, of a failure.
        again: Texts that were encoded twice, or steps that were made twice; None: does not apply.
        rerun_equal: Whether the rerun's result equals the unbroken one; None: no rerun.
    """

    case: str
    outcome: Outcome
    detail: str = ""
    again: int | None = None
    rerun_equal: bool | None = None

    @property
    def kept(self) -> bool:
        """Whether the package's promise was kept."""
        equal = self.rerun_equal is not False and (self.again or 0) <= 1
        return self.outcome in PROMISED and equal


@dataclass
class Tally:
    """Counts of a kind."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    groups: dict[str, Counter[Outcome]] = field(default_factory=dict)
    failures: list[Result] = field(default_factory=list)
    alike: Counter[str] = field(default_factory=Counter)
    reruns: int = 0
    reruns_equal: int = 0
    most_again: int | None = None

    def add(self, result: Result) -> bool:
        """Count one result; whether it is a failure of a shape that was not seen often."""
        self.outcomes[result.outcome] += 1
        group = result.case.partition(":")[0]
        self.groups.setdefault(group, Counter())[result.outcome] += 1
        shape = re.sub(r"[0-9a-f]{4,}|\\d+|\\b0x\\w+", "#", f"{group} {result.detail[:90]}")
        new = not result.kept and self.alike[shape] < ALIKE
        self.alike[shape] += not result.kept
        if new:
            self.failures.append(result)
        if result.rerun_equal is not None:
            self.reruns += 1
            self.reruns_equal += result.rerun_equal
        if result.again is not None:
            self.most_again = max(result.again, self.most_again or 0)
        return new

    @property
    def tried(self) -> int:
        """Number of cases."""
        return self.outcomes.total()

    def report(self) -> dict[str, Any]:
        """As the results file has it."""
        found: dict[str, Any] = {
            "tried": self.tried,
            "survived": sum(self.outcomes[outcome] for outcome in PROMISED),
            **{outcome.value: self.outcomes[outcome] for outcome in Outcome},
        }
        found["undetected"] += self.outcomes[Outcome.WRONG]  # wrong numbers are undetected, too
        if self.reruns:
            found |= {"reruns": self.reruns, "reruns_equal": self.reruns_equal}
        if self.most_again is not None:
            found["most_done_again"] = self.most_again
        found["of"] = {
            name: {"tried": counts.total(), **{k.value: n for k, n in sorted(counts.items())}}
            for name, counts in sorted(self.groups.items())
        }
        found["failures"] = [
            {"case": one.case, "outcome": one.outcome.value, "seen": one.detail[:DETAIL]}
            for one in self.failures[:SHOWN]
        ]
        return found
