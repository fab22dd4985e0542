"""Weights & Biases: a run of its own; where it goes, and whether at all, is wandb's own settings (WANDB_MODE, WANDB_DIR, ...)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bnprobe.integrations.libraries import required


class Wandb:
    """Writes to a run of wandb.

    Args:
        run: what ``wandb.init`` returned.
    """

    def __init__(self, run: Any) -> None:
        self._run = run

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write the scalars of one step."""
        self._run.log(dict(values), step=step)

    def finding(self, step: int, name: str, text: str) -> None:
        """Write a finding to the run's summary."""
        self._run.summary[f"bnprobe/{name}"] = text

    def close(self, verdict: str) -> None:
        """Write the verdict and finish the run."""
        self._run.summary["bnprobe/verdict"] = verdict
        self._run.finish()


def library() -> Any:
    """Return wandb."""
    return required("wandb")


def begin(where: str, name: str) -> Wandb:
    """Begin a run in the project ``where`` (bnprobe)."""
    return Wandb(library().init(project=where or "bnprobe", name=name, job_type="bnprobe", settings={"console": "off", "silent": True}))
