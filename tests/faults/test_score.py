"""Accuracy, counted by hand."""

from __future__ import annotations

from bnprobe.diagnose import Finding
from tests.faults.judging import Diagnosed
from tests.faults.program import HEALTHY, Program
from tests.faults.recording import Take
from tests.faults.score import Share, figures

PLACED = Program("a", "dead-units", ("fc*",), (0, 2))
PLACELESS = Program("b", "learning-rate-too-low")
HEALTHY_PROGRAM = Program("c", HEALTHY)


def said(take: Take, *findings: Finding) -> Diagnosed:
    return Diagnosed(take, findings, (1.0, 0.5))


def finding(name: str, severity: str = "error", layers: tuple[str, ...] = (), step: int | None = None) -> Finding:
    return Finding(name, severity, 0.9, layers, step, (), "", "", "")  # type: ignore[arg-type]


def test_hits_places_and_steps() -> None:
    counted = figures(
        [
            said(Take(PLACED), finding("dead-units", layers=("fc1", "head"), step=1)),
            said(Take(PLACED), finding("dead-units", layers=("head", "fc1"), step=3)),
            said(Take(PLACED, every=5), finding("mean-shift"), finding("dead-units", layers=("fc1",), step=6)),
            said(Take(PLACED), *[finding("mean-shift")] * 3, finding("dead-units")),
            said(Take(PLACELESS), finding("learning-rate-too-low")),
            said(Take(PLACELESS)),
        ]
    )
    assert counted.top1 == Share(3, 6)
    assert counted.top3 == Share(4, 6)
    assert (counted.layer, counted.layer_of_found) == (Share(2, 4), Share(2, 4))
    assert counted.step == Share(2, 4)
    assert counted.confusion["dead-units", "mean-shift"] == 2
    assert counted.confusion["learning-rate-too-low", "no run file"] == 1
    assert str(counted.top1) == "3/6 = 50.0% (18.8% to 81.2%)"


def test_alarms_are_counted_by_the_gravest_finding_of_healthy_runs() -> None:
    counted = figures(
        [
            said(Take(HEALTHY_PROGRAM), finding(HEALTHY, "info")),
            said(Take(PLACED, fixed=True), finding("mean-shift", "warning"), finding("dead-units", "error")),
            said(Take(PLACED, fixed=True), finding("mean-shift", "warning")),
            said(Take(PLACED), finding("mean-shift", "error")),
        ]
    )
    assert counted.healthy == Share(1, 3)
    assert counted.alarms == {"error": Share(1, 3), "warning": Share(1, 3)}
    assert counted.top1 == Share(0, 1)


def test_that_a_loss_cannot_tell_is_no_false_alarm() -> None:
    assert figures([said(Take(HEALTHY_PROGRAM), finding("inconclusive", "info"))]).healthy == Share(1, 1)
    assert figures([said(Take(PLACED), finding("inconclusive", "info"))]).top1 == Share(0, 1)
