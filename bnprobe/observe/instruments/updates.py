"""Norms of parameters, their gradients and the step that was really taken, and their kernels and rows after it."""

from __future__ import annotations

from collections.abc import Sequence

from bnprobe.observe.instruments.instrument import Instrument, Reading, Surroundings, Update
from bnprobe.observe.instruments.update_meter import UpdateMeter
from bnprobe.observe.signals.records import Tap
from bnprobe.observe.steps.open_step import OpenStep

_UNKNOWN = (
    "each rank has a summand, or another part than of the parameter; only a collective would tell, and the norm of all is without them"
)


class Updates(Instrument):
    """Measures every update of the steps that are observed.

    Args:
        around: what is there to look at.
    """

    def __init__(self, around: Surroundings) -> None:
        self._axes = around.axes
        self._schedule = around.schedule
        self._tree = around.tree
        self._writer = around.writer
        self._meter = UpdateMeter()

    def before_update(self, step: OpenStep, update: Update) -> None:
        """Measure gradients and weights, and remember the weights."""
        measurement = self._meter.before(update.parameters, update.gradients)
        measurement.places = tuple(map(self._axes.parameter, update.parameters))
        step.updates += (measurement,)
        if measurement.unknown:
            self._writer.add_coverage("norms of gradients that lie on ranks otherwise than their parameters", _UNKNOWN)

    def after_update(self, step: OpenStep, update: Update) -> None:
        """Measure how far the weights have moved."""
        if not step.updates or step.updates[-1].update is not None:
            return
        measurement = step.updates[-1]
        if measurement.keys != [id(parameter) for parameter in update.parameters]:
            return  # parameters were added while the optimizer stepped
        is_snapshot = self._schedule.is_snapshot(step.number)
        kernels = self._tree.convolution_kernels() if is_snapshot else set()
        self._meter.after(measurement, update.parameters, kernels, rows=is_snapshot)

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Return norms, and at snapshots the common mode of kernels and the difference between rows."""
        found: list[tuple[str, Reading]] = []
        for update in step.updates:
            columns = {"parameter_gradient_norm": update.gradient, "weight_norm": update.weight, "update_norm": update.update}
            if step.fused_scale is not None:
                columns["parameter_gradient_norm"] = update.gradient / step.fused_scale
            if update.kernels is not None:
                columns["kernel_slice_mean"], columns["kernel_cmrr"] = update.kernels
            columns["row_difference"] = update.rows
            columns["update_lost"] = update.lost
            found += [(name, Reading(values, update.places)) for name, values in columns.items() if values is not None]
        return found
