"""Shards made by a cluster of two nodes that loses workers, nodes and drivers at random moments.

python tests/faults/cluster.py [--runs N] [--seed S] [--json FILE]

Each run has one accident. Then the command is given again, if it did not get over it by itself, and
the folder is compared byte for byte with that of one process that nothing happened to.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
sys.path += [str(TESTS), str(TESTS.parent / "docs" / "experiments")]

from provenance import RESULTS, provenance  # noqa: E402
from toys.cluster import ToyShards, contents  # noqa: E402
from toys.shards import Encoder, numbered  # noqa: E402

from hybridir_mteb.adapters.ray.cluster import ClusterOptions, connected  # noqa: E402
from hybridir_mteb.adapters.ray.encode import fill_with  # noqa: E402
from hybridir_mteb.ranking.shards import fill  # noqa: E402
from hybridir_mteb.ranking.shards.folder import ShardFolder  # noqa: E402

OUTPUT = RESULTS / "cluster-faults.json"
N, PAUSE_S, WORKERS, LIMIT_S = 118, 0.1, 2, 300
STORE = {"object_store_memory": 80 << 20}
KINDS = ("worker", "worker", "node", "driver", "damage", "disk")


@dataclass(frozen=True)
class Run:
    """One run with an accident.

    Attributes:
        kind: What was lost.
        after: Number of shards that had been begun.
        equal: Whether the folder is that of an unbroken run.
        twice: How many shards were done twice.
        again: Whether the command had to be given again.
        left: Number of temporary files at the end.
        seconds: From start to end.
    """

    kind: str
    after: int
    equal: bool
    twice: int
    again: bool
    left: int
    seconds: float


class Machines:
    """A head that does no work, and nodes of one worker each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, **STORE}
        self._nodes = Cluster(initialize_head=True, head_node_args=head)
        self._working: list[Any] = []
        for _ in range(WORKERS):
            self.add()
        self.address = self._nodes.address

    def add(self) -> None:
        """A node more."""
        self._working.append(self._nodes.add_node(num_cpus=1, **STORE))

    def lose(self) -> None:
        """One node goes without a word."""
        self._nodes.remove_node(self._working.pop(0), allow_graceful=False)

    def end(self) -> None:
        """All go."""
        self._nodes.shutdown()


def drive(address: str, home: Path, largest: int | None) -> None:
    """The driver, as a process of its own."""
    toy = toy_in(home, largest)
    with connected(ClusterOptions(address, WORKERS, 1)) as crew:
        fill_with(crew, toy, toy.folder)


def toy_in(home: Path, largest: int | None = None) -> ToyShards:
    """The shards to make."""
    return ToyShards(home / "shards", N, home / "log", pause=PAUSE_S, largest=largest)


def started(address: str, home: Path, largest: int | None = None) -> subprocess.Popen[bytes]:
    """A driver that has been started."""
    command = [sys.executable, __file__, "--drive", address, str(home), str(largest or 0)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def accident(kind: str, machines: Machines, home: Path, chance: random.Random) -> tuple[bool, int]:
    """Start a driver, and have the accident; whether it got over it, and when that was."""
    toy, after = toy_in(home), chance.randint(1, 10)
    if kind in {"damage", "disk"}:
        first = started(machines.address, home, 200 if kind == "disk" else None)
        good = first.wait(LIMIT_S) == 0
        if kind == "disk":
            return good, len(toy.begun())
        file = toy.folder.path / f"{after:08d}" / "vectors.npy"
        raw = bytearray(file.read_bytes())
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        file.write_bytes(raw)
        return False, after
    driver, until = started(machines.address, home), time.monotonic() + LIMIT_S
    while len(toy.begun()) < after and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(chance.random() * PAUSE_S)
    if kind == "node":
        machines.lose()
        machines.add()
    else:
        process = driver.pid if kind == "driver" else toy.begun()[-1][1]
        os.kill(process, signal.SIGKILL)
    return driver.wait(LIMIT_S) == 0, after


def one_run(kind: str, machines: Machines, home: Path, chance: random.Random) -> Run:
    """One accident, and what is there in the end."""
    begin = time.monotonic()
    good, after = accident(kind, machines, home, chance)
    again = not good and started(machines.address, home).wait(LIMIT_S) == 0
    toy = toy_in(home)
    one = ShardFolder(home / "one", toy.folder.key)
    fill(one, numbered(N), Encoder())
    times = Counter(text for text, _ in toy.begun())
    return Run(
        kind,
        after,
        contents(toy.parent) == contents(home / "one"),
        sum(times.values()) - len(times),
        again,
        len(list(toy.parent.rglob("*.tmp"))),
        round(time.monotonic() - begin, 1),
    )


def main() -> None:
    """Run the campaign and write the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=36)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=OUTPUT)
    parser.add_argument("--drive", nargs=3, help="be a driver: address, folder, bytes of a file")
    given = parser.parse_args()
    if given.drive:
        drive(given.drive[0], Path(given.drive[1]), int(given.drive[2]) or None)
        return
    path = [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    chance, machines, runs = random.Random(given.seed), Machines(), []
    try:
        for number in range(given.runs):
            home = Path(tempfile.mkdtemp(prefix="cluster-faults-"))
            runs.append(one_run(KINDS[number % len(KINDS)], machines, home, chance))
            print(runs[-1], flush=True)
            shutil.rmtree(home)
    finally:
        machines.end()
    report = {
        **provenance("make cluster-faults", ["ray"]),
        "seed": given.seed,
        "shards": -(-N // 10),
        "workers": WORKERS,
        "wrong": sum(not run.equal or run.left > 0 or run.twice > WORKERS for run in runs),
        "runs": [asdict(run) for run in runs],
    }
    given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    sys.exit(bool(report["wrong"]))


if __name__ == "__main__":
    main()
