from __future__ import annotations

import dataclasses

import pytest

from bnprobe.analyse.comparison import rows_of
from bnprobe.report.figures.comparison import reached
from tests.comparison_trials import comparison


@pytest.mark.parametrize(("factor", "kind"), [(1.0, "linear"), (1e-3, "log")])
def test_values_that_lie_decades_apart_stand_on_a_logarithmic_axis(factor: float, kind: str) -> None:
    none, msr, *_ = rows_of(comparison())
    shrunk = dataclasses.replace(msr, whole=tuple(dataclasses.replace(one, final_loss=factor * one.final_loss) for one in msr.whole))
    figure = reached([none, shrunk], "training loss at the end", lambda one: one.final_loss)
    assert figure is not None
    assert (figure.layout.xaxis.type or "linear") == kind
    bars = [trace for trace in figure.data if trace.mode == "lines"]
    assert all(min(trace.x) > 0 for trace in bars) or kind == "linear"
