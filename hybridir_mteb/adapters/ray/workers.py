"""Workers that are expendable: what a lost one had in hand is done again by another."""

from __future__ import annotations

import platform
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from hybridir_mteb.errors import ClusterError, HybridIRError, described, plain_logger

logger = plain_logger(__name__)

ATTEMPTS = 3  # of one task whose workers are lost: it may be the task that kills them
LOST_AT_START = 10  # workers in a row that are lost before they have done anything
PATIENCE_S = 600.0  # without any worker that has started
POLL_S = 1.0

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Size:
    """How much of a cluster is taken.

    Attributes:
        workers: How many workers there are to be.
        threads: Cores of each.
        gpus: GPUs of each, 0 or 1.
    """

    workers: int
    threads: int
    gpus: int


class Worker:
    """One process of Ray's that does tasks, one after the other.

    Args:
        threads: For torch.
    """

    def __init__(self, threads: int) -> None:
        self._threads, self._run = threads, 0
        self._do: Callable[[Any], Any] | None = None

    def where(self) -> str:
        """The machine, once the worker has started."""
        return platform.node()

    def do(self, build: Callable[[], Callable[[Any], Any]], run: int, task: Any) -> Any:
        """Do a task.

        Args:
            build: Makes what does a task; called with the first task of a run.
            run: Number of the run.
            task: The task.
        """
        if self._do is None or self._run != run:
            import torch

            torch.set_num_threads(self._threads)
            self._do, self._run = build(), run
        return self._do(task)


class Crew:
    """The workers of a cluster, for any number of runs; a connected Ray has them.

    Args:
        size: How many they are to be.
    """

    def __init__(self, size: Size) -> None:
        import ray

        self._ray, self.size = ray, size
        self._actor = ray.remote(Worker).options(
            num_cpus=size.threads, num_gpus=size.gpus, max_restarts=0, max_task_retries=0
        )
        self._starting: dict[Any, Any] = {}  # Ray's reference -> worker
        self._working: dict[Any, tuple[Any, Any]] = {}  # and the task
        self._idle: list[Any] = []
        self._again: deque[Any] = deque()
        self._lost: Counter[Any] = Counter()
        self._given_up: Callable[[str], Any] | None = None
        self._runs = self._lost_at_start = 0

    def run(
        self,
        build: Callable[[], Callable[[Task], Result]],
        tasks: Iterable[Task],
        given_up: Callable[[str], Result] | None = None,
    ) -> Iterator[tuple[Task, Result]]:
        """Do tasks on all workers, each of which has one in hand.

        A worker that is lost, with its node or alone, is replaced, and its task done again.

        Args:
            build: Makes in each worker what does a task; must be picklable.
            tasks: The tasks, hashable; asked for one more when a worker is free.
            given_up: Makes the result of a task that has lost its workers again and again, from
                what is to be said of it; without it, the run ends.

        Yields:
            Each task with its result, in the order in which they end.

        Raises:
            HybridIRError: One that a task raised; it is not tried again.
            ClusterError: A task raised another error or lost its workers again and again, or no
                worker can be started.
        """
        self._runs += 1
        self._given_up = given_up
        self._again.clear()
        self._lost.clear()
        there = len(self._starting) + len(self._working) + len(self._idle)
        for _ in range(there, self.size.workers):
            self._start()
        built, waiting, since = self._ray.put(build), iter(tasks), time.monotonic()
        try:
            while True:
                self._hand_out(built, waiting)
                if not self._working and self._idle:
                    return  # idle, although all tasks were offered
                if self._working or self._idle:
                    since = time.monotonic()
                self._check_patience(since)
                yield from self._wait()
        finally:
            for worker, _ in self._working.values():  # of a run that does not go on
                self._ray.kill(worker)
            self._working.clear()

    def end(self) -> None:
        """Let all workers go."""
        busy = [worker for worker, _ in self._working.values()]
        for worker in (*self._starting.values(), *busy, *self._idle):
            self._ray.kill(worker)
        self._starting.clear()
        self._working.clear()
        self._idle.clear()

    def _start(self) -> None:
        worker = self._actor.remote(self.size.threads)
        self._starting[worker.where.remote()] = worker

    def _hand_out(self, built: Any, waiting: Iterator[Any]) -> None:
        nothing = object()
        while self._idle:
            task = self._again.popleft() if self._again else next(waiting, nothing)
            if task is nothing:
                return
            worker = self._idle.pop()
            self._working[worker.do.remote(built, self._runs, task)] = worker, task

    def _wait(self) -> Iterator[tuple[Any, Any]]:
        waited = [*self._starting, *self._working]
        ready, _ = self._ray.wait(waited, num_returns=1, timeout=POLL_S)
        for reference in ready:
            if reference in self._starting:
                self._started(reference)
            else:
                yield from self._ended(reference)

    def _started(self, reference: Any) -> None:
        worker = self._starting.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._lost_at_start += 1
            if self._lost_at_start >= LOST_AT_START:
                raise ClusterError(
                    f"{LOST_AT_START} workers in a row were lost before they had started: "
                    f"{described(error, 200)}. What is done is kept; look at Ray's logs, then give "
                    "the command again"
                ) from error
            self._start()
            return
        self._lost_at_start = 0
        self._idle.append(worker)

    def _ended(self, reference: Any) -> Iterator[tuple[Any, Any]]:
        worker, task = self._working.pop(reference)
        try:
            result = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            self._idle.append(worker)
            raise _of_task(error, task) from error
        except self._ray.exceptions.RayError as error:
            self._ray.kill(worker)  # it may be there and only out of reach
            self._lost[task] += 1
            if self._lost[task] >= ATTEMPTS:
                said = f"task {task} has lost {ATTEMPTS} workers: {described(error, 200)}"
                if self._given_up is None:
                    raise ClusterError(
                        f"{said}. What is done is kept; is there too little memory for the encoder?"
                    ) from error
                self._start()
                yield task, self._given_up(said)
                return
            logger.warning("a worker was lost with task %s, which is done again", task)
            self._again.append(task)
            self._start()
            return
        self._idle.append(worker)
        yield task, result

    def _check_patience(self, since: float) -> None:
        if time.monotonic() - since > PATIENCE_S:
            raise ClusterError(
                f"no worker has started for {PATIENCE_S:.0f} s: each wants {self.size.threads} "
                f"cores and {self.size.gpus} GPUs, see 'ray status'. What is done is kept"
            )


def _of_task(error: Any, task: object) -> HybridIRError:
    """What a task raised, as an error of ours."""
    cause = error.cause
    if isinstance(cause, HybridIRError):
        return cause
    return ClusterError(f"task {task} failed on a worker: {described(cause)}")
