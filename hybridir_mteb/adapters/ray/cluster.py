"""The connection to Ray: one of our own on this machine, or a cluster that is there."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hybridir_mteb import paths
from hybridir_mteb.adapters.ray.workers import Crew, Size
from hybridir_mteb.encoders.threads import allowed_cores
from hybridir_mteb.errors import ClusterError, SettingError, from_extra, one_line, quoted

LOCAL = "local"  # a Ray of our own on this machine
_PLACE = re.compile(r"auto|(ray://)?[^\s:/]+:\d+")
CORES = 4  # of a worker, where nothing else is said: a network for each core would fill the memory
OBJECT_STORE = 256 << 20  # of a Ray of our own: embeddings go to disk, never through it
OURS = "HYBRIDIR_"  # variables that workers on other machines get


@dataclass(frozen=True)
class ClusterOptions:
    """What is wanted of Ray.

    Attributes:
        address: ``local``, ``auto`` for the cluster of this machine, ``host:port``, or
            ``ray://host:port``.
        workers: How many; by default one for each GPU, or for each four cores.
        threads: Cores of a worker; by default those that there are, shared out.

    Raises:
        SettingError: Another address, or numbers below 1.
    """

    address: str = LOCAL
    workers: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.address != LOCAL and not _PLACE.fullmatch(self.address):
            raise SettingError(
                f"ray {quoted(self.address, 80)} (--ray): give local, auto, host:port or "
                "ray://host:port"
            )
        for name, value in (("workers", self.workers), ("threads", self.threads)):
            if value is not None and value < 1:
                raise SettingError(f"{name}={value} (--{name}): give 1 or more")


@contextmanager
def connected(options: ClusterOptions) -> Iterator[Crew]:
    """Connect to Ray, and let go of it and of the workers; one of our own ends with the block.

    Args:
        options: What is wanted.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: There is no such cluster, or it has neither cores nor GPUs.
    """
    with from_extra("cluster", "work on a cluster (--ray)"):
        import ray
    given = ray.is_initialized()  # by the caller, who ends it, too
    before = dict(os.environ)
    if not given:
        try:
            ray.init(**_arguments(options))
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise ClusterError(
                f"Ray at {options.address} cannot be reached: {one_line(error, 200)}. 'ray status' "
                "shows a cluster; without an address, --ray starts one on this machine"
            ) from error
    try:
        crew = Crew(_size(options, ray.cluster_resources()))
        try:
            yield crew
        finally:
            crew.end()
    finally:
        if not given:
            ray.shutdown()
            _put_back(before)


def _put_back(before: dict[str, str]) -> None:
    """Undo what Ray sets and leaves, such as PYTHONBREAKPOINT: later processes would inherit it."""
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _arguments(options: ClusterOptions) -> dict[str, Any]:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if options.address != LOCAL:
        known = {name: value for name, value in os.environ.items() if name.startswith(OURS)}
        # Where shards lie is decided here, and must be the same place on every machine.
        place = paths.shard_url() or str(paths.shard_dir().absolute())
        known[paths.SHARD_DIR_VARIABLE] = place
        return {**quiet, "address": options.address, "runtime_env": {"env_vars": known}}
    cores = max(1, int(allowed_cores()))
    if options.workers is not None:
        cores = max(cores, options.workers * (options.threads or 1))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody was asked
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's own 15 is starved by other work
    return {
        **quiet,
        "address": LOCAL,
        "num_cpus": cores,
        "object_store_memory": OBJECT_STORE,
    }


def _size(options: ClusterOptions, there: dict[str, float]) -> Size:
    """How many workers, with how many cores each."""
    cores, gpus = int(there.get("CPU", 0)), int(there.get("GPU", 0))
    if not cores:
        raise ClusterError(f"Ray at {options.address} has no cores to offer: see 'ray status'")
    workers = options.workers or (gpus or max(1, cores // (options.threads or CORES)))
    threads = options.threads or max(1, cores // workers)
    if workers > gpus or not gpus:  # some would have none: then nobody has, and all are alike
        gpus = 0
    return Size(workers, threads, 1 if gpus else 0)
