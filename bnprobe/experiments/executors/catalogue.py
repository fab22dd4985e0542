"""The executors by name; a package that one needs is imported when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bnprobe.errors import UsageError
from bnprobe.experiments.executors.devices import visible_devices
from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.executors.local import LocalExecutor

#: Trials at a time on a cluster, unless it is said.
USUAL_JOBS = 8
#: Processors of a trial, unless it is said.
USUAL_CPUS = 2
NAMES = ("local", "ray", "slurm")


@dataclass(frozen=True)
class Resources:
    """Where trials run, and with what.

    Attributes:
        executor: "local", "ray" or "slurm".
        jobs: trials at a time; None for as many as is usual.
        cpus: processors, and threads of torch, of each; None for what ``OMP_NUM_THREADS`` says, or the usual ones.
        gpus: GPUs that each has for itself; 0 on this machine shares all, and asks a cluster for none.

    Raises:
        UsageError: there is no such executor.
    """

    executor: str = "local"
    jobs: int | None = None
    cpus: int | None = None
    gpus: int = 0

    def __post_init__(self) -> None:
        if self.executor not in NAMES:
            raise UsageError(f"--executor is '{self.executor}', expected one of {', '.join(NAMES)}", "local is this machine")

    @property
    def at_once(self) -> int:
        """Trials at a time.

        Raises:
            UsageError: this machine has not so many GPUs.
        """
        if self.executor != "local":
            return self.jobs or USUAL_JOBS
        at_once = self.jobs or max(1, _cores() // (self.cpus or USUAL_CPUS))
        return min(at_once, self._local().most_at_once or at_once)

    @property
    def threads(self) -> int:
        """Threads of each trial, as it or the environment is told; else trials of this machine take all its processors together."""
        if (told := self.cpus or _threads_of_the_environment()) is not None:
            return told
        return max(1, _cores() // self.at_once) if self.executor == "local" else USUAL_CPUS

    @property
    def is_shared_out(self) -> bool:
        """Whether a trial is told its threads; one alone on this machine takes what the script would."""
        return self.executor != "local" or self.cpus is not None or self.at_once > 1

    @property
    def options(self) -> list[str]:
        """The words of a command line that say the same."""
        words = ["--executor", self.executor] if self.executor != "local" else []
        words += ["--jobs", str(self.jobs)] if self.jobs else []
        words += ["--cpus-per-trial", str(self.cpus)] if self.cpus else []
        return words + (["--gpus-per-trial", str(self.gpus)] if self.gpus else [])

    def _local(self) -> LocalExecutor:
        return LocalExecutor(self.gpus, visible_devices() if self.gpus else ())

    @contextmanager
    def open(self) -> Iterator[Executor]:
        """Connect to who runs the trials.

        Yields:
            The executor.

        Raises:
            UsageError: its package is not installed, or it is not there.
        """
        executor: Executor
        if self.executor == "ray":
            from bnprobe.experiments.executors.ray_cluster import ray_executor

            executor = ray_executor(self.gpus)
        elif self.executor == "slurm":
            from bnprobe.experiments.executors.slurm import slurm_executor

            executor = slurm_executor(self.gpus)
        else:
            executor = self._local()
        try:
            yield executor
        finally:
            executor.close()


def _threads_of_the_environment() -> int | None:
    """Threads that OpenMP, and with it torch, is told; the first level of several."""
    told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(told) if told.isdigit() and int(told) else None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
