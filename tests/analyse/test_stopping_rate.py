from __future__ import annotations

import math

import numpy as np
import pytest

from bnprobe.analyse.stopping_rate import CONSTANTS, SPREAD, Kind, StoppingRate, stopping_rate
from bnprobe.store.reader import Run
from tests.synthetic_runs import LineProbe, Recording, in_detail_at, residual_recording

RATE = 0.1
PLAIN = CONSTANTS["growing steps"]


def probe(step: int, loss: float, points: dict[float, float], optimizer: str = "SGD", **others: str) -> LineProbe:
    return LineProbe(step, RATE, (1.0, 2.0), (64.0, 128.0), points=points, loss=loss, optimizer=optimizer, **others)


def steep(s_back: float) -> dict[float, float]:
    """A line whose loss is four times what it was at four times s_back, and crosses 1 at s_back: r = s / s_back beyond 1."""
    return {0.0: 1.0, s_back / 2: 0.5, s_back * 4: 4.0}


def recording(*lines: LineProbe, norm: bool = False, steps: int = 60) -> Recording:
    made = residual_recording(steps=steps, norm=norm)
    made.loss[:] = np.linspace(2.0, 1.0, steps)
    made.learning_rate[:] = RATE
    made.line_probes = list(lines)
    return made


def known(run: Run) -> StoppingRate:
    found = stopping_rate(run)
    assert found is not None
    return found


def test_a_line_is_followed_until_the_loss_is_back_at_the_first() -> None:
    # The second probe begins at half the first loss: it is back where its ratio is 2, at 2 x s_back, not where its own loss rises.
    found = known(recording(probe(0, 2.0, steep(8.0)), probe(1, 1.0, steep(8.0))).run())
    assert (found.kind, found.steps, found.step) == ("growing steps", 2, 1)
    # The second stands for all steps but one.
    assert found.rate == pytest.approx(PLAIN * 16.0 * RATE)
    assert found.interval == pytest.approx((found.rate / SPREAD, found.rate * SPREAD))


def test_a_loss_above_the_first_is_held_against_itself() -> None:
    found = known(recording(probe(0, 2.0, steep(8.0)), probe(1, 5.0, steep(3.0))).run())
    assert found.rate == pytest.approx(PLAIN * 3.0 * RATE)


def test_every_probe_stands_for_the_steps_until_the_next() -> None:
    # Three probes at the first three steps do not outvote the one that stands for all others.
    lines = [probe(step, 2.0, steep(4.0)) for step in (0, 1, 2)] + [probe(3, 2.0, steep(16.0))]
    assert known(recording(*lines).run()).rate == pytest.approx(PLAIN * 16.0 * RATE)


def test_the_last_probe_stands_for_the_steps_until_the_last_whatever_detail_was_kept() -> None:
    run = recording(probe(0, 2.0, steep(4.0)), probe(20, 2.0, steep(16.0))).run()
    assert known(in_detail_at(run, (0, 20, 40, 59))) == known(run)


def test_a_median_that_falls_between_two_is_their_geometric_middle() -> None:
    found = known(recording(probe(0, 2.0, steep(2.0)), probe(30, 2.0, steep(32.0))).run())
    assert found.rate == pytest.approx(PLAIN * 8.0 * RATE)


@pytest.mark.parametrize(
    ("optimizer", "norm", "kind"),
    [
        ("SGD", False, "growing steps"),
        ("SGD", True, "growing steps, batch norm"),
        ("AdamW", False, "adaptive steps"),
        ("RMSprop", False, "adaptive steps"),
        ("Adam", True, "adaptive steps, batch norm"),
    ],
)
def test_every_kind_of_training_has_a_constant_of_its_own(optimizer: str, norm: bool, kind: Kind) -> None:
    found = known(recording(probe(0, 2.0, steep(4.0), optimizer), norm=norm).run())
    assert found.kind == kind
    assert found.rate == pytest.approx(CONSTANTS[kind] * 4.0 * RATE)


def test_projections_failed_probes_and_what_comes_after_the_loss_was_lost_do_not_count() -> None:
    made = recording(
        probe(0, 2.0, steep(4.0)),
        probe(0, 2.0, steep(400.0), variant="msr"),
        probe(1, np.nan, {}, reason="the loss is nan"),
        probe(6, 2.0, steep(0.001)),
    )
    made.loss[5:] = np.nan
    made.events.append((5, "divergence", "the loss is nan"))
    found = known(made.run())
    assert (found.steps, found.step) == (1, 0)
    assert found.rate == pytest.approx(PLAIN * 4.0 * RATE)


def test_a_loss_that_cannot_be_brought_back_has_no_finite_rate() -> None:
    assert math.isinf(known(recording(probe(0, 2.0, {0.0: 1.0, 1.0: 0.9, 32768.0: 0.8})).run()).rate)


def test_a_loss_below_zero_is_followed_by_its_differences() -> None:
    # From -2 back to -1 is half of |-2|: r = 1.5 there.
    found = known(recording(probe(0, -1.0, steep(8.0)), probe(1, -2.0, {0.0: 1.0, 1.0: 0.5, 4.0: 1.5, 8.0: 3.0})).run())
    assert found.rate == pytest.approx(PLAIN * 4.0 * RATE)


@pytest.mark.parametrize(
    "lines", [(), (probe(0, 2.0, steep(4.0), "Lion"),), (probe(0, 2.0, steep(4.0)), probe(2, 2.0, steep(4.0), "Adam"))]
)
def test_there_is_no_estimate_of_what_the_calibration_does_not_hold(lines: tuple[LineProbe, ...]) -> None:
    assert stopping_rate(recording(*lines).run()) is None


@pytest.mark.parametrize(
    ("remedies", "is_known"),
    [('[{"specification": "msr"}]', False), ('[{"specification": "clip-norm:max=1"}]', False), ("[" * 100_000, True)],
)
def test_there_is_none_under_remedies(remedies: str, is_known: bool) -> None:
    made = recording(probe(0, 2.0, steep(4.0)))
    made.attributes["remedies"] = remedies
    assert (stopping_rate(made.run()) is not None) == is_known


@pytest.mark.parametrize("made_by", ["add", "relu"])
def test_it_is_withheld_where_sums_are_residual(made_by: str) -> None:
    made = recording(probe(0, 2.0, steep(4.0)))
    made.layers[1] |= {"layer_role": "input", "layer_made_by": made_by}
    assert (stopping_rate(made.run()) is None) == (made_by == "add")
