"""What the callbacks share: a recording for each fit, numbered where there are several, and closed however the fit ends."""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnprobe.errors import UsageError
from bnprobe.integrations.recording import Recording, record

if TYPE_CHECKING:
    import torch


class Fits:
    """The recordings of one callback: ``run.h5`` of the first fit, ``run.2.h5`` of the second, and so on."""

    def __init__(self, path: Path | str, options: dict[str, Any]) -> None:
        """Take what every fit is recorded with.

        Args:
            path: the run file of the first fit.
            options: further arguments of ``bnprobe.record``.

        Raises:
            UsageError: one of them is no argument of ``bnprobe.record``.
        """
        known = set(record.__annotations__) - {"model", "optimizer", "path", "return"}
        if unknown := set(options) - known:
            raise UsageError(f"unknown option {sorted(unknown)[0]!r}", f"known are {', '.join(sorted(known))}")
        self._path, self._options = Path(path), options
        self._begun = 0
        self._recording: Recording | None = None

    @property
    def path(self) -> Path:
        """The run file of the current fit, or of the last one."""
        return self._path if self._begun < 2 else self._path.with_suffix(f".{self._begun}{self._path.suffix}")

    def begin(self, model: torch.nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Record from here on. A fit that was left without a word is closed first."""
        self.end()
        self._begun += 1
        self._recording = record(model, optimizers, self.path, **self._options)
        self._recording.__enter__()
        atexit.register(self.end)

    def end(self, error: BaseException | None = None) -> None:
        """Close the run file, if one is open.

        Args:
            error: what ended the fit, if it did not end by itself.
        """
        atexit.unregister(self.end)
        if self._recording is not None:
            recording, self._recording = self._recording, None
            recording.close(error)
