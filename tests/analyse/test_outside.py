from __future__ import annotations

import pytest

from bnprobe.analyse.outside import changes_outside
from bnprobe.analyse.views import RunView
from bnprobe.diagnose import diagnose
from tests.synthetic_runs import Recording, in_detail_at, residual_recording


def recording(*doubled: int, times: float = 2.0) -> Recording:
    """Updates of a thousandth of the weights, which something else makes larger before some steps."""
    made = residual_recording(steps=60)
    made.weight_norm[:] = made.weight_norm[:1]
    for step in doubled:
        made.weight_norm[step:] *= times
    made.update_norm = 1e-3 * made.weight_norm
    return made


def test_a_copy_of_larger_weights() -> None:
    (one,) = changes_outside(RunView.of(recording(30).run()))
    assert (one.since, one.step) == (29, 30)
    assert one.after == pytest.approx(2 * one.before)
    assert one.possible < 0.01 * one.before


def test_what_updates_can_have_done_is_none() -> None:
    made = recording(30, times=1.3)
    assert changes_outside(RunView.of(made.run()))
    made.update_norm[29] = 0.3 * made.weight_norm[29]
    assert changes_outside(RunView.of(made.run())) == []


def test_between_measured_steps_each_may_have_moved_as_far_as_the_largest() -> None:
    run = recording(30, times=1.3).run()
    assert changes_outside(RunView.of(in_detail_at(run, (0, 10, 20, 29, 33, 50))))
    slow = recording(30, times=1.3)
    slow.update_norm *= 10
    assert changes_outside(RunView.of(in_detail_at(slow.run(), (0, 10, 20, 25, 40, 50)))) == []


def test_weights_that_were_made_larger_again_and_again_explain_what_they_bring_about() -> None:
    made = recording(20, 30, 40)
    made.loss[45:] = 1e5 * made.loss[0]
    made.activation.rms[42:] *= 1e3
    made.gradient_norm[42:] *= 1e4
    findings = [one for one in diagnose(made.run()) if not one.is_candidate]
    assert (findings[0].id, findings[0].severity, findings[0].step) == ("unexplained-divergence", "error", 20)
    assert "something other than the optimizer" in findings[0].cause
    assert "seen 3 times up to step 40" in findings[0].cause
    assert all(one.follows_from == ("unexplained-divergence",) for one in findings[1:])


@pytest.mark.parametrize(("doubled", "times"), [((20,), 2.0), ((20, 30), 0.5), ((), 2.0)], ids=["once", "smaller", "never"])
def test_a_checkpoint_that_was_read_or_weights_that_were_pruned_explain_nothing(doubled: tuple[int, ...], times: float) -> None:
    made = recording(*doubled, times=times)
    made.loss[45:] = 1e5 * made.loss[0]
    assert all("something other than the optimizer" not in one.cause for one in diagnose(made.run()))
