"""The real training at a factor on its rates, with remedies, recorded: what a trial of ``lr-limit`` does, without its protection of files.

python -m tests.what_if.direct RUN.h5 FACTOR STEPS NONE|REMEDY[+REMEDY] SCRIPT [ARGS]...
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bnprobe.launch.ending import Ending
from bnprobe.launch.lifecycle import Lifecycle, Recording
from bnprobe.launch.runner import run
from bnprobe.launch.target import Target
from bnprobe.observe.options import RecordOptions
from bnprobe.remedies.specification import split


class _Listener:
    def fault(self, error: Exception) -> None:
        print(f"fault: {error}", file=sys.stderr)

    def ended(self, *anything: Any) -> None:
        pass

    def replaced(self, *anything: Any) -> None:
        pass

    def not_replaced(self) -> None:
        pass

    def left_alone(self, *anything: Any) -> None:
        pass


def train(file: Path, factor: float, steps: int | None, remedies: str, script: Path, arguments: list[str]) -> None:
    """Train; leaves the way the script leaves, or when it has made its steps."""
    chosen = () if remedies.lower() == "none" else tuple(split(remedies))
    options = RecordOptions(max_steps=steps, stop_when_diverged=True, budget=0.01, free_seconds=0.0, remedies=chosen)

    def make_recording() -> Recording:
        from bnprobe.observe.recorder import Recorder
        from bnprobe.observe.trial import Trial

        return Trial(Recorder(file, options, {}), factor, 0, lambda: False)

    lifecycle = Lifecycle(make_recording, _Listener(), strict=True)
    lifecycle.arm()

    def ended(ending: Ending) -> None:
        lifecycle.script_ended(ending)
        if ending.status == "stopped":
            lifecycle.leave(ending)

    run(Target(str(script), False, tuple(arguments)), ended)


def main() -> None:
    """Train."""
    file, factor, steps, remedies, script, *arguments = sys.argv[1:]
    train(Path(file), float(factor), int(steps), remedies, Path(script), arguments)


if __name__ == "__main__":
    main()
