"""Experiment: what the plugin adds to the start of Python and of mteb; a part of ``make bench``."""

from __future__ import annotations

import re
import statistics
import tempfile
from typing import Any

from side_by_side import python

STARTUP_DEPTHS, STARTUP_REPEATS = 12, 3


def _import_us(log: str, module: str) -> int:
    """Cumulative microseconds of a module in the output of ``-X importtime``."""
    found = re.search(rf"\|\s+(\d+) \|\s+{re.escape(module)}$", log, re.MULTILINE)
    return int(found.group(1)) if found else 0


def bench_startup() -> dict[str, Any]:
    """What the autoload hook adds to interpreter start-up and to ``import mteb``.

    With the package's encoders alone: each that the user trained is a record more to read.
    """
    registered = (
        "import time, hybridir_mteb._bootstrap as b\n"
        "real = b.after_import\n"
        "def after(name):\n"
        "    start = time.perf_counter(); real(name); print(time.perf_counter() - start)\n"
        "b.after_import = after\n"
        "import mteb\n"
    )
    times: dict[str, list[float]] = {"starts": [], "registered": [], "1": [], "0": []}
    with tempfile.TemporaryDirectory() as store:
        alone = {"HYBRIDIR_MODEL_STORE": store}
        for depth in range(STARTUP_DEPTHS):
            log = python("-X", "importtime", "-c", "pass", **alone).stderr
            times["starts"].append(_import_us(log, "hybridir_mteb._bootstrap") / 1000)
            times["registered"].append(1000 * float(python("-c", registered, **alone).stdout))
            rounds = [_import_ms(depth, alone) for _ in range(STARTUP_REPEATS)]
            for switch in ("1", "0"):
                times[switch].append(min(one[switch] for one in rounds))
    return {
        "startup_ms_by_importtime": round(statistics.median(times["starts"]), 3),
        "registration_ms_within_import_mteb": round(statistics.median(times["registered"]), 1),
        "import_mteb_ms_with_plugin": round(statistics.fmean(times["1"])),
        "import_mteb_ms_without_plugin": round(statistics.fmean(times["0"])),
        "import_mteb_ms_added": round(statistics.fmean(times["1"]) - statistics.fmean(times["0"])),
        "depths": STARTUP_DEPTHS,
        "repeats": STARTUP_REPEATS,
        "limits_ms": {"startup": 1.0, "import_mteb": 100},
    }


def _import_ms(depth: int, environment: dict[str, str]) -> dict[str, float]:
    """Milliseconds of the processor that ``import mteb`` takes with the hook and without it.

    Python keeps frames in pieces of memory. Where inner loops of the import call over the end of a
    piece, it takes a tenth of a second longer, with the hook or without; at which depth of calls
    they do, one frame more decides. So it is timed at several depths.
    """
    code = (
        "import time\n"
        "def at(depth):\n"
        "    if depth: return at(depth - 1)\n"
        "    import mteb\n"
        f"start = time.process_time(); at({depth}); print(time.process_time() - start)"
    )
    return {
        switch: 1000 * float(python("-c", code, HYBRIDIR_AUTOLOAD=switch, **environment).stdout)
        for switch in ("1", "0")
    }
