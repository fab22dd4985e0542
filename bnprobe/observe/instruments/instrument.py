"""What everything that measures around a step has in common.

A new quantity is one file in ``instruments/`` and one entry in ``store/schema/``: a class that overrides the methods at whose moments it
has something to look at, and returns from ``close`` what it found, by the names of the schema. It touches no file, no clock and no other
instrument. ``instruments/kurtosis.py`` is the shortest example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.observe.attaching.optimizers import Optimizer, trained_parameters
from bnprobe.originals import Original

if TYPE_CHECKING:
    from bnprobe.measure.moments import Moments
    from bnprobe.observe.axes.axes import Axes
    from bnprobe.observe.faults import Faults
    from bnprobe.observe.modules.tree import ModuleTree
    from bnprobe.observe.schedule.schedule import Schedule
    from bnprobe.observe.signals.records import Tap
    from bnprobe.observe.steps.open_step import OpenStep
    from bnprobe.observe.steps.step_clock import StepClock
    from bnprobe.store.writer import RunWriter

Vector = NDArray[np.float64]
Method = TypeVar("Method", bound=Callable[..., Any])

_AT_MEASURED_STEPS: set[Any] = set()


class Reading(NamedTuple):
    """Values of one variable at one step, still on their device.

    Attributes:
        values: (k,), on any device, or numbers at hand.
        places: (k,) where each stands along the variable's second axis; a place that is None has none. None for a variable that has
            nothing but a step axis: then k is 1.
    """

    values: torch.Tensor | Vector | Sequence[float]
    places: Sequence[int | None] | None = None


class Backward(NamedTuple):
    """A backward that is about to run; its graph is whole.

    Attributes:
        losses: the live tensors that it starts from.
        is_plain: tells whether it starts from scalars with a gradient of 1 and goes to all leaves.
        scale: factor of a gradient scaler in the losses, if there is one.
    """

    losses: list[torch.Tensor]
    is_plain: Callable[[], bool]
    scale: torch.Tensor | None


class Update:
    """One update that is about to be made, or has been.

    Attributes:
        optimizer: what makes it; None where the script moves its weights by hand.
        gradients: gradients by id of the parameter, where they are not stored in ``.grad``.
    """

    def __init__(
        self, optimizer: Optimizer | None, parameters: list[torch.Tensor] | None = None, gradients: Mapping[int, torch.Tensor] | None = None
    ) -> None:
        self.optimizer = optimizer
        self.gradients = gradients
        self._parameters = parameters

    @property
    def parameters(self) -> list[torch.Tensor]:
        """What is updated, each tensor once; looked up when it is first asked for."""
        if self._parameters is None:
            self._parameters = trained_parameters(self.optimizer.param_groups if self.optimizer is not None else ())
        return self._parameters


@dataclass(frozen=True)
class Surroundings:
    """What an instrument may look at besides its step.

    Attributes:
        axes: places in the run file.
        schedule: which steps are measured, and how.
        tree: the modules.
        clock: what a step is.
        writer: the run file, for events.
        optimizers: those of the recorded training that are alive.
        warn: told (step, text) that the training seems about to be lost.
        faults: where a fault in a hook of an instrument's own goes.
        is_aside: whether the gradient that runs now is none of the recorded training's.
    """

    axes: Axes
    schedule: Schedule
    tree: ModuleTree
    clock: StepClock
    writer: RunWriter
    optimizers: Callable[[], list[Optimizer]]
    warn: Callable[[int, str], None]
    faults: Faults
    is_aside: Callable[[], bool]


class Instrument:
    """One quantity, measured around steps. Every method may be left out.

    Exceptions are caught by the caller: the instrument is named in the run file's coverage, and the training goes on.

    Attributes:
        every_step: whether it looks at steps whose layers are not measured, too; then it has to be cheap. Methods of it that are marked
            ``at_measured_steps`` are left out there.
    """

    every_step = False

    def before_backward(self, step: OpenStep, backward: Backward) -> None:
        """A backward is about to run; gradients of the one before it are still in place."""

    def before_inner_gradient(self, step: OpenStep, outputs: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor]) -> None:
        """``torch.autograd.grad`` is about to run for a gradient that can be differentiated again, or a graph that is kept."""

    def before_update(self, step: OpenStep, update: Update) -> None:
        """Gradients are as the optimizer will use them, and the weights have not moved."""

    def skipped_update(self, step: OpenStep, update: Update) -> None:
        """A gradient scaler has kept the optimizer from moving the weights: their gradients are not finite."""

    def after_update(self, step: OpenStep, update: Update) -> None:
        """The weights have moved."""

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> Sequence[tuple[str, Reading]]:
        """The step is over; its layers have their places.

        Args:
            step: what was seen of it.
            taps: its measured signals.

        Returns:
            What was found, by the names of ``store.schema``; nothing is waited for.
        """
        return ()

    def from_moments(self, layers: Mapping[int, Moments]) -> Mapping[str, Mapping[int, float]]:
        """The activations' moments have arrived on the host, micro-steps merged.

        Args:
            layers: by place of the layer.

        Returns:
            By name of the schema: place of the layer -> value. It costs no further read of the signal.
        """
        return {}

    def from_moments_of_steps(self, layers: Mapping[int, Moments], width: int) -> Mapping[str, Vector]:
        """The same for several steps at once, for an instrument to which ``from_moments`` once a step is too slow.

        Args:
            layers: by place of the layer; ``packed`` has an axis of steps before its own.
            width: length of the axis of layers.

        Returns:
            By name of the schema: a row for each step along the axis of layers, NaN where there is nothing.
        """
        return {}


class Stopwatch:
    """Time that the recorder takes from the training, in seconds. What is timed inside something timed counts once."""

    __slots__ = ("_began", "_depth", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0
        self._began = 0.0

    def __enter__(self) -> Stopwatch:
        """Begin."""
        if not self._depth:
            self._began = Original.perf_counter()
        self._depth += 1
        return self

    def __exit__(self, *exception: object) -> None:
        """End."""
        self._depth -= 1
        if not self._depth:
            self.seconds += Original.perf_counter() - self._began

    def take(self) -> float:
        """Return what has been timed since last asked."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds


def overriding(instruments: Sequence[Instrument], method: str) -> list[Any]:
    """Return a method of every instrument that has one of its own: a step calls nothing that does nothing."""
    return [getattr(one, method) for one in instruments if getattr(type(one), method) is not getattr(Instrument, method)]


def at_measured_steps(method: Method) -> Method:
    """Have a method of an instrument asked at measured steps alone, where others of it are asked at every step."""
    _AT_MEASURED_STEPS.add(method)
    return method


def overriding_at_every_step(instruments: Sequence[Instrument], method: str) -> list[Any]:
    """Return a method of every instrument that has one of its own, and is asked for it at steps whose layers are not measured, too."""
    return [one for one in overriding([one for one in instruments if one.every_step], method) if one.__func__ not in _AT_MEASURED_STEPS]
