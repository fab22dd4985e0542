"""Trials on a Ray cluster that is running: each attempt is a task, with the processors and GPUs that the trial needs.

Ray starts a task again by itself only where it is told to; here it is not: who retries is ``remote.py``, which knows what was lost. A task
is given up by ``ray.cancel(force=True)``, which ends its worker, and with that the command
(https://docs.ray.io/en/latest/ray-core/fault_tolerance/tasks.html).
"""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

from bnprobe.errors import BnprobeError, UsageError
from bnprobe.experiments.executors.remote import Job, RemoteExecutor, Scheduler
from bnprobe.experiments.order import TrialOrder

#: Variables that tell a worker what is its own; all others are those of the command, as for a trial on this machine.
GPUS = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
WORKERS_OWN = (*GPUS, "TMPDIR", "HOSTNAME")
WORKERS_OWN_PREFIXES = ("RAY_", "SLURM_")


def ray_executor(gpus: int) -> RemoteExecutor:
    """Return an executor on the cluster that is running here, or that ``RAY_ADDRESS`` names.

    Args:
        gpus: of each trial.

    Raises:
        UsageError: Ray is not installed, or no cluster is running.
    """
    try:
        import ray
    except ImportError:
        raise UsageError("--executor ray needs the package ray, which is not installed", "pip install 'bnprobe[ray]'") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray announces changes of its own to come
        try:
            ray.init(address="auto", log_to_driver=False, logging_level=logging.CRITICAL, configure_logging=True)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UsageError(
                f"there is no Ray cluster to use: {next(iter(str(error).splitlines()), type(error).__name__)}",
                "start one with `ray start --head`, or name one: RAY_ADDRESS=HOST:6379",
            ) from None
    return RemoteExecutor(_Ray(ray, gpus))


class _Ray(Scheduler):
    def __init__(self, ray: ModuleType, gpus: int) -> None:
        self._ray = ray
        self._gpus = gpus
        self._have_room: set[int] = set()
        self._environment = {name: value for name, value in os.environ.items() if not _is_workers_own(name)}
        self._workers_own = tuple(name for name in WORKERS_OWN if gpus or name not in GPUS)
        if not gpus:  # Ray leaves a task that asks for none all that the node has
            self._environment |= dict.fromkeys(GPUS, "")

        # Nested, it travels by its code: a worker imports nothing of ours, and finds no other package of our name in the folder.
        def start(command: list[str], environment: dict[str, str], folder: str, own: tuple[str, ...], prefixes: tuple[str, ...]) -> str:
            import os
            import subprocess

            kept = {name: value for name, value in os.environ.items() if name in own or name.startswith(prefixes)}
            done = subprocess.run(
                command, env={**environment, **kept}, cwd=folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
            )
            return "" if done.returncode == 0 else f"status {done.returncode} {done.stderr.strip()[-300:]}".strip()

        self._task: Any = ray.remote(start)

    def submit(self, command: list[str], order: TrialOrder, folder: Path) -> Job:
        """Submit a task; it waits until a node has room.

        Returns:
            The task.

        Raises:
            UsageError: no node will ever have it.
        """
        cpus = order.threads or 1
        self._need_a_node(cpus)
        task = self._task.options(num_cpus=cpus, num_gpus=self._gpus, max_retries=0, name="bnprobe trial")
        given = (command, self._environment, str(folder), self._workers_own, WORKERS_OWN_PREFIXES)
        return _Task(self._ray, task.remote(*given))

    def _need_a_node(self, cpus: int) -> None:
        """See to it that some node is large enough, once for a number of processors: Ray lets a task that none can take wait for ever."""
        if cpus in self._have_room:
            return
        sizes = [one.get("Resources", {}) for one in self._ray.nodes() if one.get("Alive")]
        if not any(one.get("CPU", 0) >= cpus and one.get("GPU", 0) >= self._gpus for one in sizes):
            there = ", ".join(sorted({f"{one.get('CPU', 0):g} and {one.get('GPU', 0):g}" for one in sizes})) or "none"
            raise UsageError(
                f"no node of the Ray cluster has {cpus} processors and {self._gpus} GPUs, which each trial wants; the nodes have {there}",
                "lower --cpus-per-trial or --gpus-per-trial; a cluster that grows by itself needs one such node from the start",
            )
        self._have_room.add(cpus)

    def close(self) -> None:
        """Leave the cluster."""
        self._ray.shutdown()


class _Task(Job):
    def __init__(self, ray: Any, reference: Any) -> None:
        self._ray = ray
        self._reference = reference

    def is_over(self) -> bool:
        """Whether the task returned, failed or lost its worker."""
        try:
            return bool(self._ray.wait([self._reference], timeout=0)[0])
        except self._ray.exceptions.RaySystemError as error:
            raise BnprobeError(f"the Ray cluster is gone: {error}", "the same command goes on when it is back") from error

    def why(self) -> str:
        """What the command said, or how its worker ended."""
        try:
            return str(self._ray.get(self._reference, timeout=5))
        except self._ray.exceptions.RayError as error:
            return type(error).__name__

    def cancel(self) -> None:
        """End the worker, if the task is under way."""
        self._ray.cancel(self._reference, force=True)


def _is_workers_own(name: str) -> bool:
    return name in WORKERS_OWN or name.startswith(WORKERS_OWN_PREFIXES)
