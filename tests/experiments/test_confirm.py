"""Whether a trial does again what was recorded."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from bnprobe.diagnose import diagnose
from bnprobe.experiments.confirm import Confirming, Plan, causes_to_test, repeats
from bnprobe.experiments.counterfactuals import AS_IS
from bnprobe.experiments.executors.local import LocalExecutor
from bnprobe.experiments.order import Script
from bnprobe.experiments.running_trial import RunningTrial
from bnprobe.store.confirm_file import Trial
from bnprobe.store.reader import read_run
from tests.synthetic_runs import BUILDERS, residual_recording

MADE = Trial("as it is", "ran", loss=(3.0, 2.0, math.nan, 1.0, 0.5))


def test_losses_are_compared_step_by_step() -> None:
    steps, losses = np.arange(5), np.array(MADE.loss)
    assert repeats(MADE, steps, losses)
    assert repeats(MADE, steps + 7, losses)  # its first step has another number
    assert repeats(MADE, steps[[0, 3, 4]], losses[[0, 3, 4]])  # steps are missing before a later start
    assert not repeats(MADE, steps[:3], losses[[0, 3, 4]])
    assert not repeats(MADE, steps[:0], losses[:0])


def test_they_are_compared_as_far_as_both_go() -> None:
    assert repeats(MADE, np.arange(9), np.array([*MADE.loss, 9.0, 9.0, 9.0, 9.0]))
    assert not repeats(MADE, np.array([0, 8]), np.array([9.0, 3.0]))


class Failed(RunningTrial):
    """A trial that recorded nothing."""

    def __init__(self, folder: Path, is_forked: bool) -> None:
        self._folder, self._is_forked = folder, is_forked

    folder = property(lambda self: self._folder)
    seconds = property(lambda self: 1.0)
    exit_status = property(lambda self: 1)
    is_forked = property(lambda self: self._is_forked)

    def is_over(self) -> bool:
        return True

    def ask_to_end(self) -> None:
        pass

    def end(self) -> None:
        pass

    def clear(self) -> None:
        pass


def test_a_suspicion_is_tested_behind_the_verdict(tmp_path: Path) -> None:
    BUILDERS["exploding"](tmp_path / "run.h5")
    failed = diagnose(read_run(tmp_path / "run.h5"))
    verdict = failed.verdict.id
    assert causes_to_test(failed)[0] == verdict
    assert causes_to_test(failed, ["mean-shift", "mean-shift"]) == (verdict, "mean-shift")
    assert causes_to_test(failed, [verdict]) == (verdict,)
    healthy = diagnose(residual_recording(steps=40).run())
    assert (causes_to_test(healthy), causes_to_test(healthy, ["mean-shift"])) == ((), ("mean-shift",))


def test_a_forked_trial_that_failed_is_made_once_more_by_itself(tmp_path: Path) -> None:
    plan = Plan(Script("train.py", False, ()), str(tmp_path), (), ("missing-zero-grad",), 20)
    told: list[Trial] = []
    run = residual_recording(steps=20).run()
    confirming = Confirming(plan, LocalExecutor(), run, tmp_path / "run.confirm.json", None, {}, told.append, lambda running: None)
    assert confirming.next_order() == AS_IS and confirming.may_share_start(AS_IS)
    confirming.ended(AS_IS, Failed(tmp_path, is_forked=True))
    assert not told and confirming.next_order() == AS_IS, "once more"
    assert not confirming.may_share_start(AS_IS) and not confirming.may_share_start("clear-gradients")
    confirming.ended(AS_IS, Failed(tmp_path, is_forked=False))
    assert [one.status for one in told] == ["failed"] and confirming.next_order() is None
