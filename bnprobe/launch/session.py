"""Run one target, recorded or plainly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bnprobe.launch.ending import Ending
from bnprobe.launch.lifecycle import Lifecycle, Listener, Recording
from bnprobe.launch.runner import run
from bnprobe.launch.target import Target
from bnprobe.observe.options import Progress, RecordOptions


def run_recorded(
    target: Target,
    output: Path,
    options: RecordOptions,
    provenance: dict[str, str],
    listener: Listener,
    *,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> None:
    """Run ``target`` and record its training to ``output``; leaves the way the script leaves.

    Args:
        target: What to run.
        output: The run file; it is made when the script imports torch.
        options: What to record.
        provenance: How the run was made, for the file.
        listener: Told about faults and about the end.
        overwrite: Whether an existing ``output`` may go, once there is something to put in its place.
        on_progress: Told about each step.
    """
    # The script may change its folder before it imports torch.
    file = output.absolute()

    def make_recording() -> Recording:
        from bnprobe.observe.recorder import Recorder  # needs torch, which is there by now

        if overwrite:
            file.unlink(missing_ok=True)
        return Recorder(file, options, provenance, on_progress)

    lifecycle = Lifecycle(make_recording, listener, options.strict)
    lifecycle.arm()
    run(target, lifecycle.script_ended)


def run_plainly(target: Target) -> None:
    """Run ``target`` without recording it; leaves the way the script leaves."""

    def nothing_to_close(ending: Ending) -> None:
        pass

    run(target, nothing_to_close)
