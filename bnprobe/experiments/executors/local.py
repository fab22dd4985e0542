"""Trials as processes of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bnprobe.errors import UsageError
from bnprobe.experiments.executors.devices import VISIBLE
from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.order import TrialOrder
from bnprobe.experiments.process import TrialProcess, variables_of
from bnprobe.experiments.warm_start import WarmStart


class LocalExecutor(Executor):
    """Starts a process for each trial.

    Args:
        gpus: that each trial has for itself; 0 shares all between all.
        devices: those of this machine, by name.
    """

    def __init__(self, gpus: int = 0, devices: Sequence[str] = ()) -> None:
        self._gpus = gpus
        self._devices = tuple(devices)
        self._warm: WarmStart | None = None
        self._shares_start = False
        self._held: list[tuple[TrialProcess, tuple[str, ...]]] = []

    @property
    def most_at_once(self) -> int | None:
        """Trials that have room beside each other; None where nothing limits them.

        Raises:
            UsageError: there is no room for one.
        """
        if not self._gpus:
            return None
        if len(self._devices) < self._gpus:
            raise UsageError(
                f"--gpus-per-trial is {self._gpus}; of this machine's GPUs, {len(self._devices)} can be seen",
                "leave the option out to share what there is, or use --executor ray or slurm",
            )
        return len(self._devices) // self._gpus

    def start(self, order: TrialOrder, folder: Path) -> TrialProcess:
        """Start a process, with devices that no other trial has."""
        if not self._gpus:
            return TrialProcess(order, folder, warm=self._warm_start())
        self._held = [one for one in self._held if not one[0].is_over()]
        taken = {name for _, names in self._held for name in names}
        own = tuple(name for name in self._devices if name not in taken)[: self._gpus]
        assert len(own) == self._gpus, "more trials at once than there are devices for"
        process = TrialProcess(order, folder, {VISIBLE: ",".join(own)})
        self._held.append((process, own))
        return process

    def share_start(self, is_shared: bool) -> None:
        """Begin trials with torch imported from now on, or by themselves."""
        self._shares_start = is_shared

    def prepare(self, order: TrialOrder) -> None:
        """Have torch imported, where trials begin with that."""
        warm = None if self._gpus else self._warm_start()
        if warm is not None:
            warm.start(variables_of(order))

    @property
    def not_shared(self) -> str:
        """Why trials that may be forked are not; "" where they are, or none was to."""
        return self._warm.refusal if self._warm is not None else ""

    def _warm_start(self) -> WarmStart | None:
        if self._shares_start and self._warm is None:
            self._warm = WarmStart()
        return self._warm if self._shares_start else None

    def beat(self, folder: Path) -> None:
        """Say nothing: a trial sees this process end."""

    def close(self) -> None:
        """End the process that trials were forked from; these were ended each by itself."""
        if self._warm is not None:
            self._warm.close()
            self._warm = None
