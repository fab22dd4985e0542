"""Second derivatives through piecewise linear activations: what an equation asks of them is zero wherever it exists.

A physics loss differentiates the network's output by its input, and the result again. Through ReLU the first derivative is a constant of
each piece, and the second is zero: the equation then says nothing about the weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bnprobe.measure.graph import nodes
from bnprobe.observe.instruments.graph import GRAPH_LIMIT, kind
from bnprobe.observe.instruments.instrument import Instrument, Reading, Surroundings
from bnprobe.observe.signals.records import Tap
from bnprobe.observe.steps.open_step import OpenStep

#: Nodes of the graph of a first derivative where the activation was piecewise linear.
_LINEAR = ("ThresholdBackwardBackward", "LeakyReluBackwardBackward", "HardtanhBackwardBackward")


class SecondDerivatives(Instrument):
    """Counts derivatives, by data, of what is a derivative through a piecewise linear activation already.

    Args:
        around: what is there to look at.
    """

    def __init__(self, around: Surroundings) -> None:
        self._schedule = around.schedule
        self._count: int | None = None

    def before_inner_gradient(self, step: OpenStep, outputs: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor]) -> None:
        """Look at what is differentiated, where it is by data: by weights it is a curvature."""
        if not self._schedule.is_snapshot(step.number) or not inputs or any(isinstance(given, torch.nn.Parameter) for given in inputs):
            return
        is_flat = any(kind(node).startswith(_LINEAR) for node in nodes(outputs, GRAPH_LIMIT))
        self._count = (self._count or 0) + is_flat

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Return their number, where a derivative by data was asked for at all."""
        count, self._count = self._count, None
        return [("flat_second_derivatives", Reading([float(count)]))] if count is not None else []
