"""What a step costs: processor time, and memory at its largest."""

from __future__ import annotations

import contextlib
import statistics
import time
from pathlib import Path

import torch

#: Kept before the script begins; it may replace the clock.
_processor_time = time.process_time


class StepCosts:
    """Measures the steps of a training. Time of other programs on the machine is not counted, as it would be by a clock on the wall."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._bytes_before = resident_bytes("VmRSS")
        self._last: float | None = None

    def something_else(self) -> None:
        """Since the last update there was more than the script's own step: an evaluation, or what we have measured."""
        self._last = None

    def step_ended(self) -> None:
        """An update was made."""
        now = _processor_time()
        if self._last is not None:
            self._seconds.append(now - self._last)
        self._last = now

    def summary(self) -> dict[str, float | int | None]:
        """Return, ready for JSON, the median seconds of a step and the bytes at the largest, None where not known."""
        has_device = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        peak = resident_bytes("VmHWM")
        return {
            "step_seconds": statistics.median(self._seconds) if self._seconds else None,
            "steps": len(self._seconds),
            "peak_bytes": max(0, peak - self._bytes_before) if peak is not None and self._bytes_before is not None else None,
            "device_bytes": torch.cuda.max_memory_allocated() if has_device else None,
        }


def resident_bytes(name: str) -> int | None:
    """Return a figure of the kernel about this process, in bytes: VmRSS, what is resident now; VmHWM, at most since it began."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)
    return None
