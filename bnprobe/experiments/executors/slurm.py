"""Trials as jobs of SLURM, submitted by submitit: each attempt is one job, with the processors and GPUs that the trial needs.

What `sbatch` has to know beside that (partition, account, time limit) it reads from its own variables, `SBATCH_PARTITION` and so on, which
override what a job says (https://slurm.schedmd.com/sbatch.html).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from bnprobe.errors import BnprobeError, UsageError
from bnprobe.experiments.executors.remote import Job, RemoteExecutor, Scheduler
from bnprobe.experiments.order import TrialOrder

#: "local" has submitit run jobs on this machine: to try an experiment out where there is no SLURM.
CLUSTER = "BNPROBE_SUBMITIT_CLUSTER"
#: Of a job, unless SBATCH_TIMELIMIT says otherwise; submitit's own is five minutes, which would end a training.
MINUTES = 24 * 60
#: SLURM is made to say the states of all jobs so often at most; submitit asks beside that, the more rarely the older the last job is.
_ASK_SECONDS = 15.0
#: Until a job is submitted once more that SLURM did not take: it may have been too busy to answer.
_AGAIN_SECONDS = 5.0
#: Variables by which SLURM tells what runs in a job of it; a job that is submitted there has its own.
_OF_A_JOB = ("SLURM_", "SLURMD_", "SRUN_", "SUBMITIT_")
#: Those that say where SLURM is, and who asks.
_OF_ALL_JOBS = ("SLURM_CONF", "SLURM_JWT")


def slurm_executor(gpus: int) -> RemoteExecutor:
    """Return an executor on the SLURM of this machine.

    Args:
        gpus: of each trial.

    Raises:
        UsageError: submitit is not installed, or there is no SLURM here.
    """
    try:
        import submitit
    except ImportError:
        raise UsageError("--executor slurm needs the package submitit, which is not installed", "pip install 'bnprobe[slurm]'") from None
    cluster = os.environ.get(CLUSTER, "slurm")
    if cluster not in ("slurm", "local"):
        raise UsageError(f"{CLUSTER} is '{cluster}', expected slurm or local", "leave it out to use SLURM")
    if cluster == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
        raise UsageError("there is no SLURM here: no sbatch or no srun on PATH", f"use a login node, or try it out with {CLUSTER}=local")
    return RemoteExecutor(_Submitit(submitit, cluster, gpus))


class _Submitit(Scheduler):
    def __init__(self, submitit: ModuleType, cluster: str, gpus: int) -> None:
        self._submitit = submitit
        self._cluster = cluster
        self._gpus = gpus
        self._asked = -_ASK_SECONDS

    def submit(self, command: list[str], order: TrialOrder, folder: Path) -> Job:
        """Submit a job; its logs lie in the folder of the attempt.

        Returns:
            The job.

        Raises:
            BnprobeError: SLURM refuses it.
        """
        cpus = order.threads or 1
        executor = self._submitit.AutoExecutor(folder=folder / "job", cluster=self._cluster)
        executor.update_parameters(
            name="bnprobe",
            timeout_min=MINUTES,
            cpus_per_task=cpus,
            slurm_srun_args=[f"--cpus-per-task={cpus}"],  # since 22.05 srun does not have it from the job
            slurm_additional_parameters={"no-requeue": True},  # who retries is remote.py
        )
        if self._gpus:
            executor.update_parameters(gpus_per_node=self._gpus)
        return _SubmittedJob(self._submitted(executor, self._submitit.helpers.CommandFunction(command, verbose=False, cwd=folder)), self)

    def _submitted(self, executor: Any, function: Any) -> Any:
        """Submit; a job of which SLURM did not say that it has it, and that it starts all the same, finds its attempt taken or gone."""
        failures = (self._submitit.core.utils.FailedJobError, self._submitit.core.utils.FailedSubmissionError, OSError)
        with contextlib.suppress(*failures), self._outside_of_any_job():
            return executor.submit(function)
        time.sleep(_AGAIN_SECONDS)
        try:
            with self._outside_of_any_job():
                return executor.submit(function)
        except failures as error:
            raise BnprobeError(
                f"SLURM does not take the job: {str(error).strip()[-300:]}",
                "its partition comes from SBATCH_PARTITION; the same command goes on",
            ) from error

    @contextlib.contextmanager
    def _outside_of_any_job(self) -> Iterator[None]:
        """Hide the job that the command itself runs in, if it does: what is submitted would inherit its size and its tasks."""
        kept = {name: value for name, value in os.environ.items() if name in _OF_ALL_JOBS or not name.startswith(_OF_A_JOB)}
        with self._submitit.helpers.clean_env():
            os.environ.update(kept)
            yield

    def close(self) -> None:
        """Hold nothing: every job was ended with its trial."""

    def may_ask(self) -> bool:
        """Whether it is time to ask SLURM, whatever submitit remembers; one answer is of all jobs."""
        if time.monotonic() - self._asked < _ASK_SECONDS:
            return False
        self._asked = time.monotonic()
        return True


class _SubmittedJob(Job):
    def __init__(self, job: Any, scheduler: _Submitit) -> None:
        self._job = job
        self._scheduler = scheduler

    def is_over(self) -> bool:
        """Whether the job has left its result, or SLURM says that it runs no more."""
        return bool(self._job.done(force_check=self._scheduler.may_ask()))

    def why(self) -> str:
        """The state of the job, and what it said last."""
        said = ""
        with contextlib.suppress(OSError):
            said = (self._job.stderr() or "").strip()
        return f"job {self._job.job_id} {self._job.state} {said[-300:]}".strip()

    def cancel(self) -> None:
        """Cancel the job, whatever its state."""
        self._job.cancel(check=False)
