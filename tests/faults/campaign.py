"""Run the campaign of faults: ``make faults``, or a part of it.

``python tests/faults/campaign.py --only kills --case search:event-7`` does one case again. Kinds
that are done at this commit are not done again unless ``--again`` asks for it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    TESTS = Path(__file__).parent.parent
    REPOSITORY = TESTS.parent
    sys.path[:0] = [str(TESTS), str(REPOSITORY / "docs" / "experiments")]

from provenance import RESULTS, provenance

from faults.result import Tally
from faults.sandbox import Sandbox, install_plugin, warm

OUTPUT = RESULTS / "faults.json"
KINDS = ("kills", "corruptions", "fuzzing", "disk", "together", "plugins", "names")
SEED = 13
# Share of all cases that ``make faults`` tries where all of them would take hours.
SHARES = {"kills": 0.3, "corruptions": 0.3, "names": 0.5}
SHOW_EVERY_S = 5.0


def run_kind(
    kind: str, box: Sandbox, amount: float, wanted: Callable[[str], bool], *, loud: bool
) -> Tally:
    """Run the cases of one kind, and show how far they are."""
    module = importlib.import_module(f"faults.{kind}")
    total, began, shown = Tally(), time.monotonic(), 0.0
    for result in module.run(box, amount, wanted, SEED):
        if total.add(result):
            print(
                f"  {kind} {result.case}: {result.outcome}: {result.detail} {result.again or ''}",
                flush=True,
            )
        if loud and time.monotonic() - shown > SHOW_EVERY_S:
            shown = time.monotonic()
            print(f"  {kind}: {total.tried} ({result.case}) {shown - began:.0f} s", flush=True)
    return total


def campaign(
    kinds: list[str],
    amount: float | None,
    *,
    case: str = "",
    done: Callable[[str, dict[str, Any]], None],
    loud: bool = True,
) -> None:
    """Run kinds one after another, each reported when it is done.

    Args:
        kinds: Their names.
        amount: Share of all cases; None takes each kind's own.
        case: Only cases whose id starts with this.
        done: Told the name and the report of each kind.
        loud: Whether to show progress.
    """

    def wanted(name: str) -> bool:
        return name.startswith(case) or (name.endswith(":") and case.startswith(name))

    root = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        install_plugin(root)
        box = Sandbox(root)
        warm(box.variables())
        for kind in kinds:
            began = time.monotonic()
            share = SHARES.get(kind, 1.0) if amount is None else amount
            found = run_kind(kind, box, share, wanted, loud=loud).report()
            done(kind, {**found, "seconds": round(time.monotonic() - began, 1)})
    finally:
        shutil.rmtree(root, ignore_errors=True)


def main() -> int:
    """Run what is asked for; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=KINDS)
    parser.add_argument("--case", default="", help="only cases whose id starts so; not written")
    parser.add_argument("--amount", type=float, help="share of all cases, 0 to 1; not written")
    parser.add_argument("--again", action="store_true", help="also what is done at this commit")
    parser.add_argument("--json", type=Path, help="write the report there instead")
    parser.add_argument("--report-only", action="store_true", help="exit with 0 whatever is found")
    given = parser.parse_args()
    whole = not given.case and given.amount is None
    output = given.json or (OUTPUT if whole else None)
    report = json.loads(output.read_text()) if output and output.is_file() else {}
    made = provenance("make faults")
    kinds = [
        kind
        for kind in given.only or KINDS
        if given.again or report.get(kind, {}).get("made_by", {}).get("commit") != made["commit"]
    ]
    failed = False

    def done(kind: str, found: dict[str, Any]) -> None:
        nonlocal failed
        failed |= found["tried"] != found["survived"] or bool(found["failures"])
        print(f"{kind}: {json.dumps({k: v for k, v in found.items() if k != 'failures'})}")
        report[kind] = {"made_by": made, **found}
        if output:
            text = json.dumps({k: report[k] for k in KINDS if k in report}, indent=1)
            output.write_text(text + "\n")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # nothing stays mounted
    amount = 1.0 if given.case and given.amount is None else given.amount
    campaign(kinds, amount, case=given.case, done=done)
    return int(failed and not given.report_only)


if __name__ == "__main__":
    sys.exit(main())
