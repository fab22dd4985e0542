"""``bnprobe.record``: record a training from within, in a notebook or a loop of one's own. The file is that of ``bnprobe record``."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from bnprobe.errors import UsageError
from bnprobe.launch import ending
from bnprobe.launch.claim import Claim
from bnprobe.launch.output import check_output
from bnprobe.observe.options import RecordOptions

if TYPE_CHECKING:
    import torch

    from bnprobe.integrations.opened_run import OpenedRun
    from bnprobe.observe.recorder import Recorder
    from bnprobe.remedies.application import Applied

#: The recording that is going on in this process.
_current: list[Recording] = []


class Recording:
    """A recording that begins and ends with a ``with`` block; ``record`` makes one."""

    def __init__(
        self,
        model: torch.nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        path: Path,
        options: RecordOptions,
        remedies: Sequence[str],
        overwrite: bool,
    ) -> None:
        #: The run file.
        self.path = path
        self._model, self._optimizers = model, list(optimizers)
        #: What is recorded; may be changed until the block is entered.
        self.options = options
        self._remedies, self._overwrite = tuple(remedies), overwrite
        self._recorder: Recorder | None = None
        self._applied: list[Applied] = []
        self._claim: Claim | None = None

    def __enter__(self) -> Recording:
        from bnprobe.observe.recorder import Recorder

        if _current:
            raise UsageError(f"this process is being recorded to {_current[0].path}", "end that recording first: one at a time")
        self._claim = Claim(self.path)
        try:
            return self._begin(Recorder)
        except BaseException:
            self._claim.release()
            raise

    def _begin(self, make: type[Recorder]) -> Recording:
        check_output(self.path, self._overwrite)
        self._apply_remedies()
        self.path.unlink(missing_ok=True)
        recorder = make(self.path.absolute(), self.options, _provenance())
        recorder.expect(self._model, self._optimizers)
        recorder.install()
        for applied in self._applied:
            recorder.note_remedies(applied.record())
        self._recorder = recorder
        _current.append(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close(error)

    def close(self, error: BaseException | None = None) -> None:
        """End the recording. May be called again.

        Args:
            error: what ended the training, if it did not end by itself.
        """
        if self._recorder is None:
            return
        recorder, self._recorder = self._recorder, None
        _current.remove(self)
        recorder.finish(ending.finished() if error is None else ending.from_exception(error))
        if self._claim is not None:
            self._claim.release()

    @property
    def steps(self) -> int:
        """Number of steps recorded so far; 0 once the recording has ended."""
        return self._recorder.steps if self._recorder is not None else 0

    def open(self) -> OpenedRun:
        """Read what has been recorded so far.

        Raises:
            RunFileError: nothing has been written yet.
        """
        from bnprobe.integrations.opened_run import open_run

        if self._recorder is not None:
            self._recorder.flush()
        return open_run(self.path)

    def _apply_remedies(self) -> None:
        from bnprobe.remedies.application import apply

        if self._remedies:
            optimizer = self._optimizers[0] if len(self._optimizers) == 1 else None
            self._applied = [apply(list(self._remedies), self._model, optimizer)]

    def _forget(self) -> None:
        """This is a forked child: the file is its parent's."""
        if self._recorder is not None:
            self._recorder.abandon()
            self._recorder = None


def record(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer],
    path: Path | str = "run.h5",
    *,
    every: int = 1,
    budget: float = 0.05,
    curvature: int | None = None,
    line_probe: int | None = None,
    remedies: Sequence[str] = (),
    strict: bool = False,
    overwrite: bool = False,
) -> Recording:
    """Record what is trained inside a ``with`` block.

        with bnprobe.record(model, optimizer, "run.h5"):
            for inputs, targets in loader:
                ...
        bnprobe.open_run("run.h5")

    The training is not changed: weights are equal to the last bit. All modules that run while the block is open are recorded, as by
    ``bnprobe record``; exceptions pass through, and the file says how the block ended.

    Args:
        model: the model; remedies act on it.
        optimizer: what trains it, one or several.
        path: the run file.
        every: measure every n-th step.
        budget: share of the training time that measuring may take, dimensionless.
        curvature: measure the sharpness of the loss at every n-th step; None does not.
        line_probe: follow the update of every n-th step further than the optimizer went; None does not.
        remedies: as after ``--remedy``, in order. They stay on the model when the block ends.
        strict: raise a fault of the recorder instead of going on without that layer.
        overwrite: replace an existing run file.

    Returns:
        The recording, to be used in a ``with`` statement; ``open()`` reads it while it goes on.

    Raises:
        UsageError: something else than a model and optimizers was given. When the block is entered: the file cannot be written, exists
            already, or another recording goes on.
        RemedyError: when the block is entered, a remedy cannot be applied.
    """
    optimizers = list(optimizer) if isinstance(optimizer, Sequence) else [optimizer]
    if not hasattr(model, "named_modules"):
        raise UsageError(f"expected a torch.nn.Module to record, got {type(model).__name__}", "bnprobe.record(model, optimizer, path)")
    for one in optimizers:
        if not hasattr(one, "param_groups"):
            raise UsageError(f"expected a torch optimizer, got {type(one).__name__}", "bnprobe.record(model, optimizer, path)")
    options = RecordOptions(every=every, budget=budget, curvature=curvature, line_probe=line_probe, strict=strict)
    return Recording(model, optimizers, Path(path), options, remedies, overwrite)


def _provenance() -> dict[str, Any]:
    script = sys.argv[0] if sys.argv else ""
    return {
        "command": "bnprobe.record",
        "script": script,
        "cwd": os.getcwd(),
        "python": platform.python_version(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _in_forked_child() -> None:
    while _current:
        _current.pop()._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
