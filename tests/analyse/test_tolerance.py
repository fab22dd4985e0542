from __future__ import annotations

import numpy as np
import pytest

from bnprobe.analyse.tolerance import UNSETTLED, Tolerance, closest, select, tolerances
from bnprobe.store.reader import Run
from tests.synthetic_runs import LineProbe, residual_recording


def recorded(*lines: LineProbe, curvature: tuple[dict[str, object], ...] = (), rates: object = 0.1) -> Run:
    made = residual_recording(steps=10)
    made.learning_rate[:] = rates
    made.line_probes = list(lines)
    made.probes = [{f"curvature{'_' if name else ''}{name}": value for name, value in one.items()} for one in curvature]
    return made.run()


def test_a_line_probe_is_told_as_rates_with_its_interval() -> None:
    rises, lost = tolerances(recorded(LineProbe(4, 0.1, (0.25, 0.5), (8.0, 16.0))))
    assert (rises.kind, rises.variant, rises.step) == ("rises", "taken", 4)
    assert (rises.low, rises.high) == pytest.approx((0.025, 0.05))
    assert rises.over == pytest.approx((2.0, 4.0))
    assert rises.is_exceeded and not lost.is_exceeded
    assert (lost.low, lost.high) == pytest.approx((0.8, 1.6))


def test_open_ends_stay_open() -> None:
    rises, lost = tolerances(recorded(LineProbe(4, 0.1, (0.0, 0.5), (64.0, np.inf))))
    assert rises.over == pytest.approx((2.0, np.inf))
    assert lost.over == (0.0, pytest.approx(1 / 64))
    assert rises.is_exceeded and lost.is_known


def test_a_step_that_ends_where_the_loss_begins_to_rise_is_beyond_its_limit() -> None:
    rate = 0.1 / 3
    assert tolerances(recorded(LineProbe(4, rate, (0.5, 1.0)), rates=rate))[0].is_exceeded


def test_a_probe_without_a_number_keeps_its_reason_and_the_rate() -> None:
    [one] = tolerances(recorded(LineProbe(4, np.nan, reason="the loss is nan"), rates=0.2))
    assert not one.is_known and not one.is_exceeded
    assert (one.reason, one.rate) == ("the loss is nan", 0.2)


def test_rates_are_those_of_the_group_with_the_largest() -> None:
    run = recorded(LineProbe(4, 0.01, (2.0, 4.0)), rates=0.2)
    assert (tolerances(run)[0].low, tolerances(run)[0].high) == pytest.approx((0.4, 0.8))


def test_where_no_rate_was_seen_the_probe_knows_it() -> None:
    one = tolerances(recorded(LineProbe(4, 0.01, (2.0, 4.0)), rates=np.nan))[0]
    assert (one.rate, one.low) == pytest.approx((0.01, 0.02))


def test_curvature_has_the_residual_for_its_interval() -> None:
    row = {"": 3, "limit": 0.05, "learning_rate": 0.1, "preconditioned": 40.0, "preconditioned_residual": 10.0, "reason": ""}
    [one] = tolerances(recorded(curvature=(row,)))
    # The eigenvalue lies between 40 and 50, so the limit between 2 / 50 and 2 / 40.
    assert (one.kind, one.step) == ("curvature", 3)
    assert (one.low, one.high) == pytest.approx((0.04, 0.05))
    assert one.over == pytest.approx((2.0, 2.5))


def test_curvature_without_a_threshold_has_a_reason() -> None:
    row = {"": 3, "sharpness": 40.0, "reason": "the optimizer is none of torch's"}
    [one] = tolerances(recorded(curvature=(row,)))
    assert not one.is_known and one.reason == "the optimizer is none of torch's"


def test_curvature_has_no_number_before_second_moments_have_seen_what_they_remember() -> None:
    rows = [
        {"": step, "limit": limit, "learning_rate": 0.1, "preconditioned": 40.0, "settled": settled, "reason": ""}
        for step, limit, settled in ((1, 2.7e-6, 0.001), (9, 0.5, 1.0))
    ]
    young, settled = tolerances(recorded(curvature=tuple(rows)))
    assert not young.is_known and young.reason == UNSETTLED
    assert settled.high == 0.5
    assert closest([young, settled]) == settled


def test_all_are_in_the_order_of_steps_and_can_be_selected() -> None:
    lines = [LineProbe(step, 0.1, (0.5, 1.0), variant=variant) for step in (7, 2) for variant in ("taken", "msr")]
    found = tolerances(recorded(*lines))
    assert [one.step for one in found if one.kind == "rises"] == [2, 2, 7, 7]
    assert [one.step for one in select(found, "rises", "msr", before=7)] == [2]


def test_the_closest_is_the_one_most_exceeded_and_the_earliest_of_equals() -> None:
    def at(step: int, high: float) -> Tolerance:
        return Tolerance("rises", "taken", step, 0.1, high / 2, high)

    unknown = Tolerance("rises", "taken", 0, 0.1, np.nan, np.nan, "why")
    found = closest([unknown, at(1, 0.2), at(2, 0.05), at(3, 0.05)])
    assert found is not None and found.step == 2
    assert closest([unknown]) is None


def test_a_run_without_probes_has_none() -> None:
    assert tolerances(recorded()) == []
    assert tolerances(residual_recording(steps=0).run()) == []
