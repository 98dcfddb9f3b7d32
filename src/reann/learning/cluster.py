"""Workers of Dask, and recovery when a worker or the scheduler is lost."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, final

from reann.errors import UserError
from reann.learning.settings import WorkersConfig

LOOK, LONGEST_WITHOUT = 5.0, 300.0
"""Interval between checks of the workers, and time without any before the loop gives up, s."""
SHORT = 0.5
"""Interval between checks for the first worker, s."""
FETCH = 60.0
"""Limit for fetching the result of a task from its worker, s."""
CONNECT = 10.0
"""Limit for connecting to a running scheduler, s."""
INSTALL = "pip install 'reann[learn]'"


@dataclass(frozen=True)
class Task:
    """A function call for a worker; function and arguments are pickled."""

    name: str
    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    retries: int = 0
    """Number of repetitions after an error."""


class WorkerLostError(Exception):
    """The process of a task ended in each attempt."""


@final
class Workers:
    """Workers of Dask, started with the first task and kept until the end.

    Parameters
    ----------
    losses
        Number of times that the worker of a task may be lost before the task counts as lost.
    write
        Prints a line.
    """

    def __init__(self, settings: WorkersConfig, losses: int, write: Callable[[str], None]) -> None:
        self.settings, self.losses, self.write = settings, losses, write
        self._stack = ExitStack()
        self._client: Any = None
        self._cluster: Any = None
        """Cluster that this process has started; None for an existing scheduler."""
        self._looked = self._seen = 0.0
        """Times of the last check for workers and of the last check with one; monotonic clock,
        s."""

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def results(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """Yield the index of each task with its result or error, in the order in which they end.

        Raises
        ------
        UserError
            If there are no workers, or the connection to them is lost.
        """
        from distributed import TimeoutError as LateError
        from distributed import wait

        waiting = list(reversed(list(enumerate(tasks))))
        running: dict[Any, int] = {}
        try:
            while waiting or running:
                for _ in range(min(self._free(len(running)), len(waiting))):
                    number, task = waiting.pop()
                    running[self._submitted(task, number)] = number
                with suppress(LateError):
                    wait(list(running), timeout=LOOK, return_when="FIRST_COMPLETED")
                for future in [future for future in running if future.done()]:
                    with suppress(LateError):  # its worker was lost: the task is repeated
                        outcome = _outcome(future)
                        number = running.pop(future)
                        future.release()
                        yield number, outcome
                self._replace_workers()
        finally:
            if running:
                self._client.cancel(list(running))

    def _free(self, running: int) -> int:
        """Return how many more tasks to submit.

        Each worker has one task, because the scheduler blames all tasks of a worker that is lost.
        """
        workers = len(self._connected().nthreads())
        if not workers and not running:
            time.sleep(SHORT)
        return max(workers - running, 0)

    def _submitted(self, task: Task, number: int) -> Any:
        key = f"{task.name}-{number}-{uuid.uuid4().hex[:8]}"
        return self._client.submit(
            task.call, *task.arguments, key=key, pure=False, retries=task.retries
        )

    def _replace_workers(self) -> None:
        """Replace workers that have ended for good; `UserError` if none starts.

        Dask restarts the process of a worker, but gives up if it dies during the start; jobs of a
        queue end at their time limit.
        """
        now = time.monotonic()
        if self._cluster is None or now - self._looked < LOOK:
            return
        self._looked = now
        if self.settings.jobqueue is not None:
            self._cluster.scale(jobs=self.settings.number or 1)
            return  # the queue decides when they start
        self._cluster.scale(_local_number(self.settings))
        if self._client.scheduler_info(n_workers=-1)["workers"]:
            self._seen = now
        elif now - self._seen > LONGEST_WITHOUT:
            raise UserError(
                f"There has been no worker for {LONGEST_WITHOUT:.0f} s.",
                "workers",
                "Check whether the memory suffices; start `reann learn` again to continue.",
            )

    def _connected(self) -> Any:
        if self._client is None:
            try:
                import distributed
            except ImportError as error:
                raise UserError("Dask is not installed.", fix=INSTALL) from error
            self._client = self._stack.enter_context(self._connect(distributed))
            self._check_threads()
            self._seen = time.monotonic()
            if self.settings.dashboard:
                self.write(f"dashboard {self._client.dashboard_link}")
        return self._client

    def _connect(self, distributed: Any) -> Any:
        settings = self.settings
        if settings.scheduler is not None:
            try:
                by_file = os.path.exists(settings.scheduler)  # noqa: PTH110 - an address is no path
                place = {"scheduler_file" if by_file else "address": settings.scheduler}
                return distributed.Client(**place, timeout=CONNECT)
            except (OSError, ValueError) as error:
                raise UserError(
                    f"There is no Dask scheduler at '{settings.scheduler}'.",
                    "workers.scheduler",
                    "Start one with `dask scheduler`, and workers with `dask worker --nthreads 1`.",
                ) from error
        from dask import config

        options = {
            "distributed.scheduler.allowed-failures": self.losses,
            "distributed.worker.multiprocessing-method": "spawn",
        }
        with config.set(options):
            self._cluster = self._stack.enter_context(self._new_cluster(distributed))
        return distributed.Client(self._cluster)

    def _new_cluster(self, distributed: Any) -> Any:
        settings = self.settings
        if settings.jobqueue is not None:
            return _job_queue(settings)
        logging.getLogger("distributed").setLevel(logging.ERROR)
        return distributed.LocalCluster(
            n_workers=_local_number(settings),
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": settings.dashboard},
            silence_logs=logging.CRITICAL,
        )

    def _check_threads(self) -> None:
        """Raise `UserError` for workers with several threads, whose tasks would interfere."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        several = [worker["name"] for worker in workers if worker["nthreads"] != 1]
        if several:
            raise UserError(
                f"The Dask worker {several[0]} has several threads.",
                "workers",
                "Start workers with `dask worker --nthreads 1 --nworkers N`; with jobqueue, set as"
                " many processes as cores.",
            )


def scratch_folder() -> str | None:
    """Return a folder for temporary files that Dask removes if a worker is killed."""
    from distributed import get_worker

    try:
        return str(get_worker().local_directory)
    except ValueError:  # not on a worker
        return None


def _outcome(future: Any) -> Any:
    """Return the result of a task, or its error.

    Raises
    ------
    TimeoutError
        If its worker was lost before the result was fetched; the task is repeated.
    """
    from distributed.scheduler import KilledWorker

    if future.status == "cancelled":
        raise UserError(
            "The connection to the Dask scheduler is lost.",
            "workers",
            "Start `reann learn` again: it continues with the missing calculations.",
        )
    if future.status == "error":
        error = future.exception()
        if isinstance(error, KilledWorker):
            return WorkerLostError("its process ended: it crashed, was killed, or took too long")
        return error
    return future.result(timeout=FETCH)


def _local_number(settings: WorkersConfig) -> int:
    return settings.number or os.cpu_count() or 1


def _job_queue(settings: WorkersConfig) -> Any:
    """Return a cluster of dask-jobqueue with its jobs submitted."""
    queue = settings.jobqueue
    assert queue is not None
    try:
        import dask_jobqueue
        from dask_jobqueue.local import LocalCluster
    except ImportError as error:
        raise UserError(
            "dask-jobqueue is not installed.", "workers.jobqueue", "pip install dask-jobqueue"
        ) from error
    names = {"htcondor": "HTCondorCluster", "moab": "MoabCluster"}
    kind = getattr(
        dask_jobqueue, names.get(queue.name, f"{queue.name.upper()}Cluster"), LocalCluster
    )
    arguments = queue.arguments()
    if "cores" in arguments:
        arguments.setdefault("processes", arguments["cores"])
    try:
        cluster = kind(**arguments)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"dask-jobqueue does not accept this: {error}.",
            "workers.jobqueue",
            "Set the arguments of its cluster class, such as cores, memory and walltime.",
        ) from error
    cluster.scale(jobs=settings.number or 1)
    return cluster
