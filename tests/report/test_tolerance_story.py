from __future__ import annotations

from bnprobe.analyse.stopping_rate import WORTH
from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.report.tolerance_story import notes, story
from tests.synthetic_runs import LineProbe, exploding_recording, residual_recording


def told(*lines: LineProbe, explodes: bool = False, norm: bool = False, **attributes: str) -> AnalysedRun:
    made = exploding_recording() if explodes else residual_recording(steps=12, norm=norm)
    made.line_probes = list(lines)
    made.attributes |= attributes
    return analyse_runs([made.run()])[0]


def test_a_rate_that_was_too_high_is_told_with_what_a_projection_would_have_made_of_it() -> None:
    analysed = told(
        LineProbe(2, 0.1, (2.0, 4.0)),
        LineProbe(5, 0.1, (0.1, 0.125)),
        LineProbe(5, 0.1, (0.8, 1.6), variant="msr"),
    )
    assert story(analysed)[:2] == [
        "At step 5 the learning rate, 0.1, was 8 to 10 times what the loss tolerated along the step taken; "
        "with `msr`'s projection it would have been 0.62 to 1.2 times.",
        "The update raised the loss of its own batch at 1 of 2 probed steps.",
    ]


def test_all_line_probes_together_name_the_rate_at_which_training_stops_and_what_that_has_been_worth() -> None:
    points = {0.0: 1.0, 2.0: 0.5, 16.0: 4.0}
    analysed = told(*(LineProbe(step, 0.1, (2.0, 4.0), points=points, loss=1000.0) for step in (0, 5)))
    # Back at the first loss at s = 4, at a rate of 0.1.
    assert story(analysed)[-1] == (
        "All 2 line probes together put the rate above which it stops training between 0.093 and 1.72, 0.4 in the middle. " + WORTH
    )


def test_without_points_or_a_way_back_nothing_is_said_of_where_training_stops() -> None:
    endless = LineProbe(0, 0.1, (2.0, 4.0), points={0.0: 1.0, 2.0: 0.5}, loss=1.0)
    for probe in (LineProbe(0, 0.1, (2.0, 4.0)), endless):
        assert not any("stops training" in sentence for sentence in story(told(probe)))


def test_several_projections_stand_in_one_sentence() -> None:
    variants = [LineProbe(5, 0.1, (1.0, 2.0), variant=variant) for variant in ("taken", "msr", "gradient-centralisation")]
    assert story(told(*variants))[0].endswith(
        "; with `msr`'s projection it would have been 0.5 to 1 times, with `gradient-centralisation`'s 0.5 to 1 times."
    )


def test_the_step_from_which_on_every_update_raised_the_loss_is_named() -> None:
    analysed = told(*(LineProbe(step, 0.1, (0.25, 0.5) if step in (4, 13, 14) else (1.0, 2.0)) for step in range(15)), explodes=True)
    assert "raised the loss of its own batch at 3 of 15 probed steps, from step 13 on at each." in story(analysed)[1]


def test_a_rate_within_its_limits_is_called_so() -> None:
    first, second = story(told(LineProbe(2, 0.1, (2.0, 4.0)), LineProbe(5, 0.1, (1.0, 2.0))))
    assert first.startswith("At step 5 the learning rate, 0.1, was 0.5 to 1 times what")
    assert second == "It came no closer: at none of 2 probed steps did the update raise the loss of its own batch."


def test_steps_between_the_last_probe_and_the_divergence_are_named() -> None:
    analysed = told(LineProbe(0, 0.1, (0.5, 1.0)), LineProbe(10, 0.1, (4.0, 8.0)), explodes=True)
    assert analysed.divergence is not None and analysed.divergence.step == 15
    assert story(analysed)[-1] == (
        "The last probe before training diverged at step 15, at step 10, found the rate 0.12 to 0.25 times its limit; "
        "the 4 steps between were not probed, which `--line-probe 1` does."
    )


def test_probes_after_the_loss_was_lost_say_nothing_of_the_cause() -> None:
    analysed = told(LineProbe(3, 0.1, (1.0, 2.0)), LineProbe(17, 0.1, (0.001, 0.002)), explodes=True)
    assert story(analysed)[0].startswith("At step 3 ")


def test_a_projection_by_a_remedy_at_work_is_the_update_itself_and_left_out() -> None:
    lines = [LineProbe(2, 0.1, (2.0, 4.0), variant=variant) for variant in ("taken", "msr")]
    assert {one.variant for one in told(*lines).tolerances} == {"taken", "msr"}
    assert {one.variant for one in told(*lines, remedies='[{"specification": "msr:strength=0.9"}]').tolerances} == {"taken"}


def test_biases_and_missing_numbers_are_noted() -> None:
    lines = [LineProbe(2, 0.1, (2.0, 4.0)), LineProbe(5, 0.1, reason="the loss is nan"), LineProbe(8, 0.1, reason="the loss is nan")]
    bias, missing = notes(told(*lines, norm=True))
    assert "batch norm" in bias and "pessimistic" in bias
    assert missing == "No number from the line probe at 2 steps from 5 to 8: the loss is nan."
    assert notes(told(LineProbe(2, 0.1, (2.0, 4.0)))) == []


def test_without_a_number_there_is_no_sentence() -> None:
    assert story(told(LineProbe(5, 0.1, reason="the loss is nan"))) == []
