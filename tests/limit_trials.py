"""Trials as a search would have made them, for tests of what is read from them."""

from __future__ import annotations

import numpy as np

from bnprobe.store.limits_file import Outcome, Trial, factor_of


def trial(grid_index: int, outcome: Outcome, remedy: str = "NONE", seed: int = 0, own_rate: float = 0.1, **more: object) -> Trial:
    """One trial of 20 steps at a constant rate."""
    steps = np.arange(20)
    loss = 2.0 * np.exp({"trains": -0.1, "stuck": 0.0, "diverges": 0.5, "failed": 0.0}[outcome] * steps)
    rate = np.full(20, own_rate * factor_of(grid_index))
    known: dict[str, object] = {
        "reason": f"it {outcome}",
        "layer": "conv1" if outcome == "diverges" else "",
        "layer_step": 7 if outcome == "diverges" else -1,
        "steps": 20,
        "first_loss": 2.0,
        "final_loss": float(loss[-1]),
        "peak_rate": float("nan") if outcome == "failed" else float(rate[0]),
        "seconds": 3.5,
        **({} if outcome == "failed" else {"step": steps, "loss": loss, "rate": rate}),
    }
    return Trial(remedy, seed, grid_index, outcome, **{**known, **more})  # type: ignore[arg-type]


def trials() -> list[Trial]:
    """NONE has its limit between grid indices 0 and 1 at both seeds, msr between 8 and 9 at seed 0 and 9 and 10 at seed 1."""
    return [
        trial(0, "trains"),
        trial(4, "diverges"),
        trial(2, "diverges"),
        trial(1, "stuck"),
        trial(0, "trains", seed=1),
        trial(1, "diverges", seed=1),
        trial(0, "trains", "msr"),
        trial(8, "trains", "msr"),
        trial(9, "diverges", "msr"),
        trial(9, "trains", "msr", seed=1),
        trial(10, "diverges", "msr", seed=1),
    ]
