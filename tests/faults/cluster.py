"""Shards made by a cluster of two nodes that loses workers, nodes and drivers at random moments.

python tests/faults/cluster.py [--only KIND …] [--share S] [--json FILE] [--again]

Each case has one accident; then the command is given again. Shards are compared byte for byte with
those of one process that nothing happened to, and so are ranks. A case that is done at this commit
is not done again unless ``--again`` asks for it.
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
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent), str(TESTS.parent / "docs" / "experiments")]

from provenance import RESULTS, provenance  # noqa: E402
from toys.cluster import ROWS, ToyShards, contents  # noqa: E402
from toys.shards import Encoder, numbered, vector_of  # noqa: E402

from faults.small_disk import SmallDisk  # noqa: E402
from hybridir_mteb.adapters.ray.cluster import ClusterOptions, connected  # noqa: E402
from hybridir_mteb.adapters.ray.encode import fill_with  # noqa: E402
from hybridir_mteb.adapters.ray.search import ClusterSearch  # noqa: E402
from hybridir_mteb.adapters.ray.workers import Crew  # noqa: E402
from hybridir_mteb.ranking.arrays import Relevance  # noqa: E402
from hybridir_mteb.ranking.shards import Hits, ShardFolder, fill, search  # noqa: E402

OUTPUT = RESULTS / "cluster-faults.json"
# What is lost -> how often; drivers of their own come last, when the first one has gone.
KINDS = {"worker": 30, "search": 4, "node": 4, "damage": 3, "disk": 3, "driver": 6}
N, PAUSE_S, WORKERS, LIMIT_S, SEED = 118, 0.1, 2, 180.0, 13
STORE = {"object_store_memory": 80 << 20}
# A node that says nothing is given up after 5 s, and not after 25.
SYSTEM = {"health_check_initial_delay_ms": 2000, "health_check_period_ms": 1000}
QUERIES = np.stack([vector_of(f"query {at}") for at in range(7)])
RELEVANCE = Relevance.from_lists([[at, at + 50] for at in range(len(QUERIES))])
DEPTH = 12
LOSSES = {"worker", "node", "driver"}
SHARD_BYTES = 5 * 4096  # at least, on a small disk
# Ray's own niceness of workers is starved by other work; nobody was asked whether it may report.
ENVIRONMENT = {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}


@dataclass(frozen=True)
class Case:
    """One accident, and what was there in the end.

    Attributes:
        case: Its name.
        after: Number of shards that had been begun.
        again: Whether the command had to be given again.
        shards_equal: Whether the folder is that of an unbroken run.
        ranks_equal: Whether ranks, best passages and scores are.
        twice: How many shards were done twice.
        left: Number of temporary files at the end.
        seconds: From start to end.
        error: What the last command ended with.
    """

    case: str
    after: int
    again: bool
    shards_equal: bool
    ranks_equal: bool
    twice: int
    left: int
    seconds: float
    error: str

    @property
    def right(self) -> bool:
        """Whether all is as it should be."""
        sound = self.shards_equal and self.ranks_equal and not (self.left or self.error)
        return sound and self.twice <= WORKERS


class Machines:
    """A head that does no work, and nodes of one worker each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": SYSTEM, **STORE}
        self._nodes = Cluster(initialize_head=True, head_node_args=head)
        self._working: list[Any] = []
        for _ in range(WORKERS):
            self.add()
        self.address: str = self._nodes.address

    def add(self) -> None:
        """A node more."""
        self._working.append(self._nodes.add_node(num_cpus=1, **STORE))

    def lose(self) -> None:
        """One node goes without a word."""
        self._nodes.remove_node(self._working.pop(0), allow_graceful=False)

    def end(self) -> None:
        """All go."""
        self._nodes.shutdown()


class Apart(threading.Thread):
    """Work in a thread, which may be given up."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work, self._said = work, ""
        self.result: Any = None
        self.start()

    def run(self) -> None:
        """See :class:`threading.Thread`."""
        try:
            self.result = self._work()
        except Exception as error:  # noqa: BLE001 -- told to whoever waits
            self._said = f"{type(error).__name__}: {error}"

    def end(self) -> str:
        """Wait for the end; what went wrong, or "".

        Raises:
            TimeoutError: It does not end.
        """
        self.join(LIMIT_S)
        if self.is_alive():
            raise TimeoutError(f"no end after {LIMIT_S:.0f} s")
        return self._said


class Driver:
    """The command in a process of its own."""

    def __init__(self, address: str, toy: ToyShards) -> None:
        home = toy.parent.parent
        self._words = home / "driver.log"
        with self._words.open("wb") as words:
            command = [sys.executable, __file__, "--drive", address, str(home)]
            self.process = subprocess.Popen(command, stdout=words, stderr=words)

    def end(self) -> str:
        """As of :class:`Apart`."""
        try:
            status = self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            raise TimeoutError(f"no end after {LIMIT_S:.0f} s") from error
        said = self._words.read_text(errors="replace").splitlines()[-1:]
        return f"status {status}: {' '.join(said)}" if status else ""


class Campaign:
    """All accidents to one cluster.

    Args:
        root: A folder for all files.
        machines: The cluster.

    Attributes:
        crew: Of a driver in this process; None: drivers are processes of their own.
    """

    def __init__(self, root: Path, machines: Machines) -> None:
        self._root, self._machines = root, machines
        self.crew: Crew | None = None
        whole = self._toy("unbroken").folder
        fill(whole, numbered(N), Encoder())
        self._shards, self._hits = contents(whole.path.parent), self._search(whole)

    def _toy(self, name: str) -> ToyShards:
        home = self._root / name
        (home / "shards").mkdir(parents=True)
        return toy_in(home)

    def case(self, name: str) -> Case:
        """One accident, and what is there in the end."""
        kind, chance, began = name.partition("-")[0], random.Random(f"{SEED} {name}"), time.time()
        self._gather()
        toy = self._toy(name)
        with small_disk(toy.parent) if kind == "disk" else nullcontext() as disk:
            after, broken = self._accident(kind, toy, disk, chance)
            error = self._start(toy).end() if broken else ""
            hits = None
            if not error:
                hits = self._search(toy.folder, chance if kind == "search" else None)
            times = Counter(text for text, _ in toy.begun())
            found = Case(
                name,
                after,
                broken,
                contents(toy.parent) == self._shards,
                hits is not None and _equal(hits, self._hits),
                sum(times.values()) - len(times),
                sum(1 for _ in toy.parent.rglob("*.tmp")),
                round(time.time() - began, 1),
                error,
            )
        shutil.rmtree(self._root / name)
        return found

    def _gather(self) -> None:
        """Wait for the workers that take the places of lost ones."""
        crew = self.crew
        if crew is None:
            return

        def gather() -> None:
            list(crew.run(int, ()))
            while crew._starting:
                list(crew._wait())

        Apart(gather).end()

    def _start(self, toy: ToyShards) -> Apart | Driver:
        """Give the command."""
        crew = self.crew
        if crew is None:
            return Driver(self._machines.address, toy)
        return Apart(lambda: fill_with(crew, toy, toy.folder))

    def _accident(
        self, kind: str, toy: ToyShards, disk: SmallDisk | None, chance: random.Random
    ) -> tuple[int, bool]:
        """Give the command; when something happens, and whether it has to be given again."""
        after = chance.randint(1, -(-N // ROWS) - 2)
        if disk is not None:
            disk.leave(after * SHARD_BYTES)
        command = self._start(toy)
        if kind in LOSSES:
            until = time.monotonic() + LIMIT_S
            while len(toy.begun()) < after and time.monotonic() < until:
                time.sleep(0.005)
            time.sleep(chance.random() * PAUSE_S)
            if kind == "node":
                self._machines.lose()
                self._machines.add()
            else:
                driver = command.process.pid if isinstance(command, Driver) else 0
                os.kill(driver or toy.begun()[-1][1], signal.SIGKILL)
        broken = bool(command.end())
        if disk is not None:
            disk.leave(None)
        if kind == "damage":
            files = sorted(file for file in toy.folder.path.glob(f"{after:08d}/*"))
            file = chance.choice(files)
            raw = bytearray(file.read_bytes())
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
            file.write_bytes(raw)
            broken = True
        return after, broken

    def _search(self, folder: ShardFolder, chance: random.Random | None = None) -> Hits:
        """Search, on the workers if there are some; with a chance, one of them is killed."""
        how: Any = search if self.crew is None else ClusterSearch(self.crew)
        command = Apart(lambda: how(QUERIES, [folder], DEPTH, relevance=RELEVANCE))
        if chance is not None:
            processes = {process for _, process in toy_in(folder.path.parent.parent).begun()}
            time.sleep(chance.random() * PAUSE_S)
            os.kill(chance.choice(sorted(processes)), signal.SIGKILL)
        if said := command.end():
            raise RuntimeError(said)
        return command.result


def toy_in(home: Path) -> ToyShards:
    """The shards to make; what was begun is noted beside them."""
    return ToyShards(home / "shards", N, home / "log", pause=PAUSE_S)


@contextmanager
def small_disk(place: Path) -> Iterator[SmallDisk]:
    """A file system of its own for a folder."""
    disk = SmallDisk(place)
    try:
        if not disk.mounted:
            raise PermissionError(f"no file system can be mounted at {place}")
        yield disk
    finally:
        disk.close()


def _equal(one: Hits, other: Hits) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("rows", "scores", "ranks")
    )


def summary(cases: list[dict[str, Any]]) -> dict[str, Any]:
    """What is told of the cases of a kind beside each of them."""
    found = [Case(**{key: value for key, value in one.items() if key != "right"}) for one in cases]
    return {
        "tried": len(found),
        "right": sum(one.right for one in found),
        "shards_equal": sum(one.shards_equal for one in found),
        "ranks_equal": sum(one.ranks_equal for one in found),
        "given_again": sum(one.again for one in found),
        "most_done_twice": max(one.twice for one in found),
        "temporary_files_left": sum(one.left for one in found),
        "seconds": round(sum(one.seconds for one in found), 1),
        "cases": cases,
    }


def drive(address: str, home: Path) -> None:
    """Be a driver."""
    toy = toy_in(home)
    with connected(ClusterOptions(address, WORKERS, 1)) as crew:
        fill_with(crew, toy, toy.folder)


def run(cases: list[str], keep: Callable[[Case], None]) -> None:
    """Run cases, those of one driver first, and tell of each."""
    root = Path(tempfile.mkdtemp(prefix="cluster-faults-"))
    try:
        with small_disk(root):
            pass
    except PermissionError as error:
        print(f"full disks are left out: {error}", flush=True)
        cases = [name for name in cases if not name.startswith("disk")]
    own = [name for name in cases if name.startswith("driver")]
    machines = Machines()
    try:
        campaign = Campaign(root, machines)
        if len(own) < len(cases):
            with connected(ClusterOptions(machines.address, WORKERS, 1)) as campaign.crew:
                for name in [name for name in cases if name not in own]:
                    keep(campaign.case(name))
            campaign.crew = None
        for name in own:
            keep(campaign.case(name))
    finally:
        machines.end()
        shutil.rmtree(root, ignore_errors=True)


def main() -> int:
    """Run what is asked for; 1 if anything was not right."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=list(KINDS))
    parser.add_argument("--share", type=float, default=1.0, help="of all cases; not written")
    parser.add_argument("--json", type=Path, help="write the report there instead")
    parser.add_argument("--again", action="store_true", help="also what is done at this commit")
    parser.add_argument("--drive", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        drive(given.drive[0], Path(given.drive[1]))
        return 0
    path = [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    os.environ.update(ENVIRONMENT)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    output = given.json or (OUTPUT if given.share == 1 else None)
    report = json.loads(output.read_text()) if output and output.is_file() else {}
    made = provenance("make cluster-faults", ["ray"])
    wanted = []
    for kind in given.only or KINDS:
        old = report.get(kind, {})
        if given.again or old.get("made_by", {}).get("commit") != made["commit"]:
            report.pop(kind, None)
        known = {one["case"] for one in report.get(kind, {}).get("cases", ())}
        names = [f"{kind}-{at}" for at in range(max(1, round(given.share * KINDS[kind])))]
        wanted += [name for name in names if name not in known]

    def keep(case: Case) -> None:
        print(case, flush=True)
        kind = case.case.partition("-")[0]
        cases = [*report.get(kind, {}).get("cases", ()), asdict(case)]
        report[kind] = {"made_by": made, **summary(cases)}
        if output:
            whole = {kind: report[kind] for kind in KINDS if kind in report}
            output.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")

    if wanted:
        run(wanted, keep)
    return int(any(of["right"] != of["tried"] for of in report.values()))


if __name__ == "__main__":
    sys.exit(main())
