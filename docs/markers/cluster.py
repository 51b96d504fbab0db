"""The cluster: accidents that it got over, what it costs, and what a large corpus would take."""

from __future__ import annotations

from typing import Any

from markers.registry import MarkerError, marker
from markers.results import RESULTS, load, made_by, markdown_table

NONE = "*No run is committed yet; `make {target}` writes `docs/results/{name}.json`.*"
KINDS = {
    "worker": "a worker killed while it encodes",
    "search": "a worker killed while it searches",
    "node": "a node killed, with its worker",
    "damage": "one bit of a finished shard changed",
    "disk": "the disk of the shard folder full",
    "driver": "the driver killed",
}
HEADS = ("what happens", "tried", "shards equal", "ranks equal", "given again")
LAST = ("most shards done twice", "temporary files left")


@marker("cluster")
def cluster(what: str) -> str:
    """``faults``, ``cost`` or ``plan``."""
    makers = {"faults": _faults, "cost": _cost, "plan": _plan}
    if what not in makers:
        raise MarkerError(f"cluster:{what}: expected one of {', '.join(makers)}")
    return makers[what]()


def _found(name: str, target: str) -> dict[str, Any] | str:
    if not (RESULTS / f"{name}.json").is_file():
        return NONE.format(target=target, name=name)
    return load(name)


def _faults() -> str:
    """A row for each kind of accident, and how they were made."""
    found = _found("cluster-faults", "cluster-faults")
    if isinstance(found, str):
        return found
    keys = ("tried", "shards_equal", "ranks_equal", "given_again", "most_done_twice")
    rows = [
        [label, *(str(found[kind][key]) for key in (*keys, "temporary_files_left"))]
        for kind, label in KINDS.items()
        if kind in found
    ]
    made = dict.fromkeys(made_by(of) for of in found.values())
    return "\n\n".join([markdown_table([*HEADS, *LAST], rows), *made])


def _cost() -> str:
    """Throughput beside one process, memory of the driver, and a command with nothing to do."""
    found = _found("cluster", "cluster-bench")
    if isinstance(found, str):
        return found
    parts = []
    if "throughput" in found:
        parts.append(_throughput(found["throughput"]))
    if "driver" in found:
        parts.append(_driver(found["driver"]))
    made = dict.fromkeys(made_by(of) for of in found.values())
    return "\n\n".join([*parts, *made])


def _throughput(found: dict[str, Any]) -> str:
    labels = {
        "one": f"one process, {found['workers']} threads",
        "cluster": f"Ray, {found['workers']} workers of one thread",
    }
    rows = []
    for name, label in labels.items():
        of = found[name]
        numbers = (of["passages_per_second"], of["seconds_before"], *of["seconds"])
        rows.append([label, *(f"{value:,.1f}" for value in numbers)])
    sizes = (f"s for {n:,} passages" for n in found["one"]["passages"])
    heads = [f"`{found['encoder']}`", "passages a second", "s before the first", *sizes]
    return (
        f"{markdown_table(heads, rows)}\n\nThat is {found['share_of_one_process']:.2f} of the one "
        f"process (the goal was {found['goal']:g}). The command with nothing left to do takes "
        f"{found['seconds_with_nothing_to_do']:.1f} s, the start of Ray and of the encoder "
        "included."
    )


def _driver(found: dict[str, Any]) -> str:
    runs = [of for key, of in found.items() if key.isdigit()]
    rows = [
        [
            f"{of['passages']:,}",
            *(f"{of[key]:,.1f}" for key in ("peak_mib_of_imports", "peak_mib")),
            *(f"{of[key]:.1f}" for key in ("seconds_of_ids", "seconds")),
        ]
        for of in runs
    ]
    heads = ["passages", "MiB of imports", "peak MiB of the driver", "s of ids", "s of shards"]
    resumed = found["resume"]
    again = "without reading" if not resumed["times_the_corpus_was_read"] else "after READING"
    return (
        f"{markdown_table(heads, rows)}\n\nMade-up vectors of {found['dimension']} dimensions. "
        f"{found['peak_mib_added']:+.1f} MiB from the smaller corpus to the larger one. That all "
        f"{resumed['passages']:,} passages, {resumed['gb']:.2f} GB, are there and sound is found "
        f"in {resumed['seconds']:.1f} s, {again} the corpus."
    )


def _plan() -> str:
    """What MIRACL's passages would take, by the planner."""
    from hybridir_mteb.installed import installed_plugins
    from hybridir_mteb.planning import corpus, report, shapes
    from hybridir_mteb.planning.machines import MACHINES

    texts, machine = corpus.MIRACL_TEXTS, MACHINES["h100"]
    blocks = []
    for name in ("pocket", "qwen2.5-7b"):
        network = shapes.network_of(installed_plugins().backbones[name], None)
        rows = [
            (texts, corpus.encoding(network, texts, machine, count)) for count in corpus.DEVICES
        ]
        sections = (
            report.encoding_section(rows, machine),
            report.sharing_section([(texts, corpus.sharing(network, texts))]),
        )
        for section in sections:
            table = markdown_table(list(section.columns), [list(row) for row in section.rows])
            blocks.append(f"`{name}`: {section.title}\n\n{table}")
    return "\n\n".join(blocks)
