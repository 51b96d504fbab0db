"""The campaign of faults: the table of ``faults.json``, one line for each kind."""

from __future__ import annotations

from markers.registry import marker
from markers.results import RESULTS, load, made_by, markdown_table, plain

NAME = "faults"
KINDS = {
    "kills": "processes killed, then run again",
    "corruptions": "files damaged",
    "fuzzing": "inputs of every reader and record",
    "disk": "full disks",
    "together": "processes at once",
    "plugins": "plugins and encoders of rubbish",
    "names": "hostile names",
}
COUNTS = ("tried", "survived", "undetected", "wrong_numbers", "tracebacks", "hung")
HEADS = ("kind", "tried", "survived", "undetected", "wrong numbers", "tracebacks", "hung")
NONE = "*No run is committed yet; `make faults` writes `docs/results/faults.json`.*"


@marker("faults")
def table() -> str:
    """What was tried and what became of it, and how that was made."""
    if not (RESULTS / f"{NAME}.json").is_file():
        return NONE
    found = load(NAME)
    kinds = {kind: label for kind, label in KINDS.items() if kind in found}
    rows = [[label, *(str(found[kind][key]) for key in COUNTS)] for kind, label in kinds.items()]
    made = dict.fromkeys(made_by(found[kind]) for kind in kinds)
    heads = [*HEADS, "reruns equal", "most done again"]
    for row, kind in zip(rows, kinds, strict=True):
        of = found[kind]
        row.append(f"{of['reruns_equal']} of {of['reruns']}" if "reruns" in of else "–")
        row.append(plain(of["most_done_again"]) if "most_done_again" in of else "–")
    return "\n\n".join([markdown_table(heads, rows), *made])
