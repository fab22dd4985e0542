"""Trials as a comparison would have made them, for tests of what is read from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bnprobe.store.comparison_file import WHOLE, Comparison, Evaluation, Outcome, Trial
from bnprobe.store.limits_file import factor_of

ATTRIBUTES: dict[str, str | int | float] = {
    "script": "train.py",
    "status": "finished",
    "techniques": "NONE\nmsr\nbatch-norm",
    "seeds": 2,
    "steps": WHOLE,
    "search_steps": 30,
    "metric": "",
}


def trial(grid_index: int, outcome: Outcome, loss: float = 1.0, remedy: str = "NONE", seed: int = 0, **more: object) -> Trial:
    """One trial of 40 steps, with an evaluation at half of it and one at its end."""
    step = np.arange(40)
    known: dict[str, object] = {
        "reason": f"it {outcome}",
        "steps": 40,
        "first_loss": 2.0,
        "final_loss": loss,
        "peak_rate": 0.1 * factor_of(grid_index),
        "seconds": 3.0,
        "step": step,
        "loss": loss + (2.0 - loss) * np.exp(-step / 5.0),
        "step_seconds": 0.01,
        "peak_bytes": 2.0**20,
    }
    if outcome == "trains":
        known |= {
            "held_out_loss": loss + 0.5,
            "held_out_accuracy": 1.0 - loss / 4,
            "held_out_step": 40,
            "held_out_samples": 100,
            "held_out_source": "the losses that the script computed (cross_entropy_loss)",
            "evaluations": (Evaluation(20, loss + 0.7, 0.5, 100), Evaluation(40, loss + 0.5, 1.0 - loss / 4, 100)),
        }
    return Trial(remedy, seed, grid_index, outcome, **{**known, **more})  # type: ignore[arg-type]


def trials() -> list[Trial]:
    """NONE is best at place 1, msr at place 2, twice as slow; batch norm is refused."""
    found = []
    for remedy, limit, best, slower in (("NONE", 4, 1, 1.0), ("msr", 5, 2, 2.0)):
        found += [trial(limit - 2, "trains", remedy=remedy, length=30), trial(limit, "diverges", remedy=remedy, length=30)]
        top = limit - 2
        for place in (top, top - 1, top - 3, top - 5):
            loss = 0.4 + 0.1 * abs(place - best) - (0.2 if remedy == "msr" else 0.0)
            found.append(trial(place, "trains", loss, remedy, step_seconds=0.01 * slower))
        seeding = "torch.manual_seed(0) was torch.manual_seed(1)"
        loss = next(one.final_loss for one in found if one.grid_index == best and one.remedy == remedy) + 0.02
        found.append(trial(best, "trains", loss, remedy, seed=1, step_seconds=0.012 * slower, seeding=seeding))
    return [*found, trial(0, "refused", remedy="batch-norm", reason="no convolution is trained", length=30)]


def comparison(found: list[Trial] | None = None, **attributes: str | int | float) -> Comparison:
    return Comparison(Path("comparison.h5"), {**ATTRIBUTES, **attributes}, trials() if found is None else found)
