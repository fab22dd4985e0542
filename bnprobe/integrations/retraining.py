"""``bnprobe.retrain``: the steps of a loop of one's own, trained again at other rates and with remedies, as ``record --what-if`` does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bnprobe.analyse.what_if import WhatIf, what_if_of
from bnprobe.errors import UsageError
from bnprobe.integrations.recording import record
from bnprobe.observe.options import FEWEST_WHAT_IF_STEPS, WHAT_IF_STEPS
from bnprobe.store.reader import read_run

if TYPE_CHECKING:
    import torch


def retrain(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer],
    step: Callable[[], object],
    *,
    steps: int = WHAT_IF_STEPS,
    remedies: Sequence[str] = ("none", "msr"),
    memory: int = 2 * 2**30,
) -> WhatIf:
    """Make some steps of a training, and train them again at other learning rates and with remedies.

        def step():
            inputs, targets = next(batches)
            optimizer.zero_grad()
            loss_of(model(inputs), targets).backward()
            optimizer.step()

        found = bnprobe.retrain(model, optimizer, step)
        found.remedies["none"].trains_at, found.remedies["msr"].trains_at

    The steps are those of the training itself: it has gone so far when this returns, to the last bit as without it. What is trained again
    are copies. A remedy is applied to them as it would have been before the first of the steps.

    Args:
        model: the model.
        optimizer: what trains it, one or several.
        step: makes one step: forward, backward and the optimizer's step. It is called ``steps`` times.
        steps: how many, 20 or more.
        remedies: each as after ``--remedy``, several joined by ``+``; "none" is the training as it is.
        memory: bytes that may be kept for the steps; where they are used up, fewer are trained again.

    Returns:
        The answers: for each remedy the fastest rate that trained and the slowest above it that did not, every training with its losses,
        and what has no answer, with the reason.

    Raises:
        UsageError: too few steps, something else than a model and optimizers, or another recording goes on.
    """
    if steps < FEWEST_WHAT_IF_STEPS:
        raise UsageError(f"steps={steps} says nothing about a rate", f"make {FEWEST_WHAT_IF_STEPS} or more")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.h5"
        recording = record(model, optimizer, file)
        recording.options = replace(recording.options, what_if=steps, what_if_remedies=tuple(remedies), what_if_memory=memory)
        with recording:
            for _ in range(steps):
                step()
        found = what_if_of(read_run(file))
    assert found is not None
    return found
