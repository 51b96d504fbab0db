"""How what was found is held against a pin."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

PINS = Path(__file__).parent / "pins"
BITS, FIRST = ":bits", ":first"
Tolerance = tuple[float, float]  # absolute, relative; the wider one holds
# On another processor the network's floats differ in the last bits, about 1e-6 of a cosine. That
# can exchange two passages which score alike, seldom, and moves a mean over some 50 queries little.
NETWORK: Tolerance = (2e-3, 1e-2)
# The made-up encoder's scores are whole numbers; only means of them may be summed in another order.
SUMS: Tolerance = (1e-12, 1e-9)
NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?")


def pins_of(group: str) -> Any:
    """What the pins of a group say."""
    return json.loads((PINS / f"{group}.json").read_text(encoding="utf-8"))


def same_processor(probe: str) -> bool:
    """Whether the network computes here, by :meth:`Runs.probe`, the very floats that are pinned."""
    return probe == (PINS / "probe.txt").read_text().strip()


def unlike_pins(group: str, found: Any, allowed: Tolerance | None) -> list[str]:
    """Where a group of runs differs from its pins; found as a file has it: tuples are lists."""
    return differences(pins_of(group), json.loads(json.dumps(found)), allowed)


def differences(
    pinned: Any, found: Any, allowed: Tolerance | None = None, place: str = ""
) -> list[str]:
    """Where two JSON values differ.

    Args:
        pinned: What the pin says.
        found: What was found now.
        allowed: How far floats may be apart; None asks for the same digits. With a tolerance,
            values whose key ends in ``:bits`` only have to exist. All else is equal in either
            case, the order of keys too. Lists whose key ends in ``:first`` may have grown.
        place: Where the values are, for the messages.
    """
    if place.endswith(BITS):
        same = pinned == found if allowed is None else bool(pinned) == bool(found)
        return [] if same else [f"{place}: {pinned!r} became {found!r}"]
    if place.endswith("/training_datasets") and pinned and found:  # sets, in a process's own order
        pinned, found = sorted(pinned), sorted(found)
    if place.endswith(FIRST) and isinstance(pinned, list) and isinstance(found, list):
        found = found[: len(pinned)]
    if isinstance(pinned, dict) and isinstance(found, dict):
        if list(pinned) != list(found):
            gone = [key for key in pinned if key not in found]
            new = [key for key in found if key not in pinned]
            return [f"{place}: gone {gone}, new {new}" + ("" if gone or new else ", order differs")]
        pairs = [(f"{place}/{key}", pinned[key], found[key]) for key in pinned]
    elif isinstance(pinned, list) and isinstance(found, list) and len(pinned) == len(found):
        pairs = [(f"{place}/{at}", *pair) for at, pair in enumerate(zip(pinned, found))]  # noqa: B905
    else:
        same = type(pinned) is type(found) and (
            pinned == found or (allowed is not None and _near(pinned, found, allowed))
        )
        return [] if same else [f"{place}: {pinned!r} became {found!r}"]
    return [line for at, a, b in pairs for line in differences(a, b, allowed, at)]


def _near(pinned: Any, found: Any, allowed: Tolerance) -> bool:
    """Whether floats, or the numbers with decimals in two texts, differ little."""
    if isinstance(pinned, float):
        return abs(pinned - found) <= max(allowed[0], allowed[1] * abs(pinned))
    if not isinstance(pinned, str) or NUMBER.split(pinned) != NUMBER.split(found):
        return False
    numbers = zip(NUMBER.findall(pinned), NUMBER.findall(found), strict=True)
    return all(_near(float(a), float(b), allowed) for a, b in numbers)
