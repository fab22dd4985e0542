"""Run one target, recorded or plainly."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bnprobe.launch import children
from bnprobe.launch.claim import Claim
from bnprobe.launch.ending import Ending
from bnprobe.launch.lifecycle import Lifecycle, Listener, Recording
from bnprobe.launch.runner import run
from bnprobe.launch.target import Target
from bnprobe.observe.options import Progress, RecordOptions

if TYPE_CHECKING:
    from bnprobe.observe.recorder import Recorder


def run_recorded(
    target: Target,
    output: Path,
    options: RecordOptions,
    provenance: dict[str, str],
    listener: Listener,
    *,
    claim: Claim | None = None,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    plan: children.Plan | None = None,
) -> None:
    """Run ``target`` and record its training to ``output``; leaves the way the script leaves.

    Args:
        target: What to run.
        output: The run file; it is made when the script imports torch.
        options: What to record.
        provenance: How the run was made, for the file.
        listener: Told about faults and about the end.
        claim: That no other process records to ``output``; released at the end.
        overwrite: Whether an existing ``output`` may go, once there is something to put in its place.
        on_progress: Told about each step.
        plan: What processes are told that the script starts, where they are to be recorded.
    """
    # The script may change its folder before it imports torch.
    file = output.absolute()

    made: list[Recorder] = []

    def make_recording() -> Recording:
        from bnprobe.observe.recorder import Recorder  # needs torch, which is there by now

        if overwrite and not options.resume:
            file.unlink(missing_ok=True)
        made.append(Recorder(file, options, provenance, on_progress))
        return made[0]

    def release() -> None:
        if plan is not None and made and not made[0].steps and plan.files:
            file.unlink(missing_ok=True)  # the processes that it started have trained, and this one has nothing to tell
        if claim is not None:
            claim.release()

    in_fork = children.in_fork(plan) if plan is not None else None
    lifecycle = Lifecycle(make_recording, listener, options.strict, release, in_fork)
    if plan is not None:
        plan.announce(os.environ)
    lifecycle.arm()
    run(target, lifecycle.script_ended)


def run_plainly(target: Target) -> None:
    """Run ``target`` without recording it; leaves the way the script leaves."""

    def nothing_to_close(ending: Ending) -> None:
        pass

    run(target, nothing_to_close)
