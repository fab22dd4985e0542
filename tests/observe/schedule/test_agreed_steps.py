from __future__ import annotations

import pytest

from bnprobe.observe.schedule.agreed_steps import channel_level, is_chosen
from bnprobe.observe.schedule.schedule import Schedule


def test_what_is_chosen_at_a_level_is_chosen_below_it() -> None:
    chosen = [{step for step in range(1024) if is_chosen(step, level)} for level in range(8)]
    for level, own in enumerate(chosen):
        assert len(own) == 1024 >> level
        assert all(own <= lower for lower in chosen[:level])


@pytest.mark.parametrize("period", [2, 3, 4, 10])
def test_what_repeats_is_met_in_all_its_phases(period: int) -> None:
    phases = [step % period for step in range(16384) if is_chosen(step, 4)]
    expected = len(phases) / period
    assert all(0.6 * expected < phases.count(phase) < 1.4 * expected for phase in range(period))


def test_a_rank_that_affords_less_measures_a_part_of_the_others_steps() -> None:
    measured = []
    for cost in (0.01, 0.05):
        schedule = Schedule(1, 0.05, agrees=True)
        steps = set()
        for step in range(2000):
            if schedule.is_observed(step):
                steps.add(step)
            schedule.account(0.1 + cost * (step in steps), cost * (step in steps), step in steps)
        measured.append(steps)
    assert len(measured[1]) < len(measured[0]) < 2000
    assert len(measured[1] - measured[0]) <= 0.1 * len(measured[1])


def test_channels_take_a_fixed_number_of_bytes_in_an_octave() -> None:
    channels = 100_000
    kept = [sum(is_chosen(step, channel_level(step, channels)) for step in range(2**k, 2 ** (k + 1))) for k in range(4, 12)]
    assert max(kept) * 16 * channels <= 2 * 4 * 2**20
    assert min(kept[2:]) >= 1
