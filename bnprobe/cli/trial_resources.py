"""Options of all commands that make trials: where those run, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bnprobe.experiments.executors.executor import Executor as Runs

Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        metavar="J",
        help="Trials at a time (default: one per two cores; 8 with ray or slurm).",
        show_default=False,
    ),
]
Executor = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="local|ray|slurm",
        help="Who runs the trials: this machine, a Ray cluster, or SLURM; the folder must be one that every node sees.",
    ),
]
Cpus = Annotated[
    int | None,
    typer.Option(
        "--cpus-per-trial",
        min=1,
        metavar="N",
        help="Processors, and threads of torch, of each trial (default: all cores shared out; 2 with ray or slurm).",
        show_default=False,
    ),
]
Gpus = Annotated[
    int,
    typer.Option(
        "--gpus-per-trial",
        min=0,
        metavar="N",
        help="GPUs that each trial has for itself; 0 shares those of this machine, and asks a cluster for none.",
    ),
]


def tell_of_start(runs: Runs) -> None:
    """Say why trials took the seconds that importing torch takes, each of them, where that could not be spared."""
    from bnprobe.cli.voice import say

    if runs.not_shared:
        say(f"trials could not be forked, and each took the seconds that it takes to import torch: {runs.not_shared}")
