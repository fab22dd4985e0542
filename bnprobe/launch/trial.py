"""The process of one trial, started with ORDER, a JSON document, for its only argument.

It runs the target as ``bnprobe record`` does, in a private view of the file system, with what the order changes about its training.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from bnprobe.errors import UsageError
from bnprobe.launch.ending import Ending, describe
from bnprobe.launch.lifecycle import Lifecycle, Recording
from bnprobe.launch.private_files import REFUSED, protect_files
from bnprobe.launch.provenance import collect_provenance
from bnprobe.launch.runner import run
from bnprobe.launch.target import Target
from bnprobe.observe.options import RecordOptions

#: Times that a trial which predicts a limit is probed, if it lives to its end.
PROBES = 5
#: Of a trial whose time is to be the script's own every so many steps are measured.
FEW = 50
#: Interventions that change over a trial are told a length; the script's own is not known before it ends.
LONG = 10**6
_PARENT_DEATH_SIGNAL = 1
WRITES_REFUSED = (
    "bnprobe: this machine gives a trial no view of the file system of its own, so it may write below $TMPDIR alone\n"
    "hint: make trials where user namespaces are allowed (podman; docker run --security-opt seccomp=unconfined), or write to $TMPDIR"
)


@dataclass(frozen=True)
class Order:
    """What the process is to do.

    Attributes:
        target: name of the script or module.
        is_module: whether it is a module.
        arguments: the script's own.
        remedies: remedies to apply, in order.
        interventions: names of the interventions to make.
        factor: on the learning rates.
        seed: 0 for the script as it is.
        steps: optimizer steps after which the trial ends; None lets the script end.
        folder: where the trial may write; the run file, ``run.h5``, goes there.
        parent: process that waits for it.
        probes: whether the recording shall predict a limit, too.
        command: for whom the trial is made.
        until_diverged: whether it ends as soon as it has diverged.
        compared: whether it shall hold what trainings are compared by: evaluations, costs.
    """

    target: str
    is_module: bool
    arguments: list[str]
    remedies: list[str]
    interventions: list[str]
    factor: float
    seed: int
    steps: int | None
    folder: str
    parent: int
    probes: bool
    command: str
    compared: bool = False
    until_diverged: bool = True


class _Faults:
    """Passes on what fails in the recording; the process that waits reads it among the last lines.

    Args:
        protection: how files are kept from being written.
    """

    def __init__(self, protection: str) -> None:
        self.protection = protection

    def fault(self, error: Exception) -> None:
        print(f"bnprobe: the recording failed: {describe(error)}", file=sys.stderr)

    def left_alone(self, swallowed: Exception | None) -> None:
        pass

    def replaced(self, call: str, recorded: bool) -> None:
        print(f"bnprobe: another program takes the script's place ({call}), in which nothing is observed", file=sys.stderr)

    def not_replaced(self) -> None:
        print("bnprobe: it could not be started; the trial goes on", file=sys.stderr)

    def ended(self, ending: Ending, recorded: bool, hurried: bool) -> None:
        if not recorded:
            print("bnprobe: the script never imported torch", file=sys.stderr)
        if self.protection == REFUSED and ending.detail.startswith(PermissionError.__name__):
            print(WRITES_REFUSED, file=sys.stderr)


def main() -> None:
    """Run the trial; leaves the way the script leaves."""
    order = Order(**json.loads(sys.argv[1]))
    die_with(order.parent)
    folder = Path(order.folder)
    try:
        protection = protect_files(folder)
    except UsageError as error:
        sys.exit(f"bnprobe: {error}\nhint: {error.hint}")
    target = Target(order.target, order.is_module, tuple(order.arguments))
    provenance = {
        **collect_provenance(target, ["bnprobe", order.command, order.target, *order.arguments]),
        "trial_factor": repr(order.factor),
        "trial_seed": str(order.seed),
        "trial_protection": protection,
    }
    given = dict(os.environ)
    probed = max(1, order.steps // PROBES) if order.probes and order.steps else None
    options = RecordOptions(
        every=FEW if order.command == "compare" else 1,
        max_steps=order.steps,
        stop_when_diverged=order.until_diverged,
        remedies=tuple(order.remedies),
        line_probe=probed,
        curvature=probed,
        compared=order.compared,
    )

    def make_recording() -> Recording:
        from bnprobe.interventions.at_work import AtWork
        from bnprobe.observe.recorder import Recorder  # needs torch, which is there by now
        from bnprobe.observe.trial import Trial

        changed = sorted(name for name in given.keys() | os.environ.keys() if given.get(name) != os.environ.get(name))
        (folder / "start.json").write_text(json.dumps(changed), encoding="utf-8")
        recorder = Recorder(folder / "run.h5", options, provenance)
        at_work = AtWork(order.interventions, order.steps or LONG) if order.interventions else None
        return Trial(recorder, order.factor, order.seed, lambda: os.getppid() != order.parent, at_work)

    # Strict: a trial whose rates could not be scaled must not pass for one.
    lifecycle = Lifecycle(make_recording, _Faults(protection), strict=True)
    lifecycle.arm()

    def ended(ending: Ending) -> None:
        lifecycle.script_ended(ending)
        if ending.status == "stopped":
            lifecycle.leave(ending)

    run(target, ended)


def die_with(parent: int) -> None:
    """Have the kernel end this process when the one that waits for it ends, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
