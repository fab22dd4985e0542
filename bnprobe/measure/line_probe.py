"""The line probe from Python: how far along an update may a model go before its loss rises, and before it diverges?

    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.step()
    update = {name: p.detach() - before[name] for name, p in model.named_parameters()}
    model.load_state_dict(before, strict=False)
    bnprobe.line_probe(model, lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]), batch, update)

Bjorck, Gomes, Selman, Weinberger 2018, "Understanding Batch Normalization", arXiv 1806.02375, Fig 3, made a number.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from bnprobe.measure.line_search import MOST_FORWARDS, LineProbe, search_line

Batch = TypeVar("Batch")


def line_probe(
    model: nn.Module,
    loss: Callable[[nn.Module, Batch], torch.Tensor],
    batch: Batch,
    update: Mapping[str, torch.Tensor],
    *,
    forwards: int = MOST_FORWARDS,
) -> LineProbe:
    """Follow an update beyond its end and say where the loss begins to rise and where it diverges.

    With r(s) = L(theta + s d) / L(theta), theta the weights the model has now and d the update, the learning rate that was used times the
    ``critical`` s is the largest rate at which this step would not have raised the loss of its own batch; times ``divergence``, the rate at
    which it would have lost it. The model is left as it is: weights, buffers, gradients, training mode and every random number generator.
    Every evaluation sees the same random numbers and the same buffers.

    Args:
        model: the model, at the weights from which the step was taken.
        loss: (model, batch) -> the loss, one number. It is called without recording gradients.
        batch: handed to ``loss`` as it is.
        update: the step taken, weights after minus weights before, by name as in ``model.named_parameters()``; what is not named stays.
            ``bnprobe.remedies.project_update`` makes of it the update that a remedy would have left.
        forwards: evaluations of the loss that may be spent, the one at s = 0 included.

    Returns:
        Both limits as intervals, in multiples of the update, and the points that were evaluated.

    Raises:
        ValueError: a name or a shape in ``update`` is not the model's, or the loss at s = 0 is zero, not finite or more than one number.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.constant_(model.weight, 1.0)
    >>> update = {"weight": torch.tensor([[-0.2]])}
    >>> probe = line_probe(model, lambda model, x: model(x).square().mean(), torch.ones(1, 1), update)
    >>> probe.critical[0] <= 2 / 0.2 <= probe.critical[1]
    True
    """
    parameters = dict(model.named_parameters())
    for name, step in update.items():
        if name not in parameters or parameters[name].shape != step.shape:
            expected = f"shape {tuple(parameters[name].shape)}" if name in parameters else f"one of {', '.join(list(parameters)[:5])}, ..."
            raise ValueError(f"update {name!r} of shape {tuple(step.shape)} is no parameter of the model; expected {expected}")
    objective = _Objective(model, loss)
    buffers = dict(model.named_buffers())

    def evaluate(s: float) -> float:
        values = {name: _moved(parameters[name], step, s) for name, step in update.items()}
        values.update((name, buffer.detach().clone()) for name, buffer in buffers.items())
        found = torch.func.functional_call(objective, {f"model.{name}": value for name, value in values.items()}, (batch,))
        if found.numel() != 1:
            raise ValueError(f"the loss has shape {tuple(found.shape)}; expected one number")
        return float(found)

    with torch.no_grad():
        repeated = _with_the_same_randomness(evaluate, {p.device for p in parameters.values() if p.device.type == "cuda"})
        return search_line(repeated, repeated(0.0), forwards)


class _Objective(nn.Module):
    """The loss as a module, for ``functional_call``."""

    def __init__(self, model: nn.Module, loss: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.model = model
        self._loss = loss

    def forward(self, batch: object) -> torch.Tensor:
        return self._loss(self.model, batch)


def _moved(parameter: torch.Tensor, step: torch.Tensor, s: float) -> torch.Tensor:
    wide = torch.complex128 if parameter.is_complex() else torch.float64
    return (parameter.detach().to(wide) + s * step.to(device=parameter.device, dtype=wide)).to(parameter.dtype)


def _with_the_same_randomness(evaluate: Callable[[float], float], devices: set[torch.device]) -> Callable[[float], float]:
    """Let every evaluation draw the numbers that the first one drew, and the caller's next ones be as if there had been none."""

    def repeated(s: float) -> float:
        with _restored(), torch.random.fork_rng(devices=sorted(devices, key=str)):
            return evaluate(s)

    return repeated


@contextmanager
def _restored() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
