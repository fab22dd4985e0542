"""Numbers and places in words, the same way in every sentence."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

import numpy as np

from bnprobe import numerals
from bnprobe.analyse.layers import module_of
from bnprobe.analyse.remedies import remedies_that_fit
from bnprobe.analyse.stability import LossCourse
from bnprobe.analyse.what_if import NONE, RemedyAnswer, WhatIf, what_if_of
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.divergence import DIVERGENCE_RATIO


def number(value: float) -> str:
    """A number as a person would say it: three digits, powers of ten where it is far from one.

    >>> number(0.1234), number(3.2e8), number(float("nan")), number(1.0)
    ('0.123', '3.2e+08', 'NaN', '1')
    """
    return numerals.number(value)


def percent(share: float) -> str:
    """A share in per cent, never rounded up to all.

    >>> percent(0.138), percent(0.99996), percent(1.0)
    ('13.8 %', '99.996 %', '100 %')
    """
    value = 100 * float(share)
    return f"{value:.5g} %" if 99.5 < value < 100 else f"{number(value)} %"


def first_two(names: Sequence[str]) -> str:
    """Names in words, of many the first.

    >>> first_two(["conv1"]), first_two(["conv1", "conv2", "fc"])
    ('conv1', 'conv1 and conv2 and 1 more')
    """
    rest = len(names) - 2
    return " and ".join([*names[:2], *([f"{rest} more"] if rest > 0 else [])])


def times(ratio: float) -> str:
    """A ratio in words.

    >>> times(1.0e5), times(3.0), times(0.25)
    ('1e+05 times', '3 times', '0.25 times')
    """
    return f"{number(float(f'{ratio:.2g}'))} times"


def decades(value: float) -> str:
    """A number of decades in words.

    >>> decades(1.0), decades(0.2)
    ('1 decade', '0.2 decades')
    """
    return measured(value, "decades")


def measured(value: float, units: str) -> str:
    """A number with its unit.

    >>> measured(1.0, "decades per layer"), measured(3.0, "calls"), measured(0.5, "")
    ('1 decade per layer', '3 calls', '0.5')
    """
    return with_unit(number(value), units)


def with_unit(text: str, units: str) -> str:
    """Put the unit behind a number that is written already, in the singular where it is one; "as the signal" has no name.

    >>> with_unit("1", "decades per layer"), with_unit("1", "as the signal")
    ('1 decade per layer', '1')
    """
    unit, *rest = ("" if units.startswith("as the ") else units).split(" ")
    singular = unit.removesuffix("s") if text == "1" else unit
    return " ".join(part for part in (text, singular, *rest) if part)


def against_weights(ratio: float) -> str:
    """An update ratio in words.

    >>> against_weights(0.138), against_weights(27.7)
    ("13.8 % of its weights' size", "27.7 times its weights' size")
    """
    return f"{percent(ratio)} of its weights' size" if ratio < 1 else f"{number(ratio)} times its weights' size"


def module_place(run: RunAnalysis, layer: int) -> str:
    """The module of a layer as it reads in a sentence."""
    return run.place(layer).replace(run.name(layer), module_of(run.name(layer)), 1)


def loss_summary(run: RunAnalysis) -> str:
    """What became of the loss, as a clause."""
    end, course = run.divergence, run.course
    if end is not None and end.reason == "non-finite loss":
        return f"the loss was {number(end.loss)} at step {end.step}"
    if end is not None:
        return f"the loss passed {DIVERGENCE_RATIO:g} times {end.scale_name} at step {end.step} ({number(end.scale)} to {number(end.loss)})"
    if course is None:
        return "no loss was seen"
    if run.is_at_chance:
        return f"the loss stays at {number(course.late)}, chance level among {run.classes} classes"
    if run.has_relapsed:
        return f"the loss came down to {number(course.trough)} and rose again to {number(course.late)}"
    if run.stays_above_its_first:
        leapt = f"the loss leapt from {number(course.first)} to {number(course.highest)}"
        return f"{leapt} and {'still falls' if course.is_falling else 'ends'} at {number(course.late)}, above where it began"
    if run.has_risen:
        return f"the loss rose from {number(course.early)} to {number(course.late)}"
    if run.is_stuck:
        return f"the loss has not moved ({number(course.early)} to {number(course.late)} in {course.steps} steps)"
    return loss_way(course)


def loss_way(course: LossCourse) -> str:
    """Where the loss came from and where it went, as a clause: medians, as everywhere."""
    return f"the loss went from {number(course.early)} to {number(course.late)}"


def constant_summary(run: RunAnalysis) -> str:
    """How the late squared error compares with that of a constant prediction, as a clause."""
    share = run.constant_share if run.constant_share is not None else float("nan")
    return "what a constant prediction scores" if share < 1.5 else f"{times(share)} what a constant prediction scores"


def guess_summary(run: RunAnalysis) -> str:
    """How the late cross-entropy compares with that of guessing by the shares of the labels, as a clause."""
    score = number(float(np.nanmean(run.recorded.constant_cross_entropy)))
    by_shares = f"guessing by the shares of the labels ({score})"
    if run.is_no_better_than_guessing or run.guess_share is None:
        return f"no better than that of {by_shares}"
    return f"{percent(run.guess_share)} of that of {by_shares}"


def first_to_deviate(run: RunAnalysis) -> str:
    """Which layer deviated from its baseline first, as a clause with its semicolon; empty where none did after the first step."""
    first = run.first_deviation
    if first is None or first.row == run.first_row:
        return ""
    of = "" if first.signal == "activation" else "the gradient of "
    return f"; {of}{run.place(first.layer)} deviated from its baseline first, at step {first.step}"


def each(kind: str) -> str:
    """A layer of that kind, with its article."""
    name = kind if kind in ("convolution", "linear", "recurrent", "attention", "normalisation", "activation") else ""
    return f"a {name} layer".replace("  ", " ") if name not in ("attention", "activation") else f"an {name} layer"


def with_remedy(run: RunAnalysis, sentence: str, *remedies: str) -> str:
    """Add how to try remedies without editing the script: those that said, when it was recorded, that they can act on this network.

    Args:
        run: the run.
        sentence: what to do, without its full stop.
        remedies: as ``--remedy`` takes them, the likeliest first; settings may stand behind a name.

    Returns:
        The sentence, with commands where there is one to give.
    """
    fits = remedies_that_fit(run.recorded)
    commands = " or ".join(f"`bnprobe record --remedy {remedy} {target(run)}`" for remedy in remedies if remedy.partition(":")[0] in fits)
    return f"{sentence}; to try it without an edit: {commands}." if commands else f"{sentence}."


def clip_at_usual(run: RunAnalysis, row: int) -> str:
    """The remedy that clips the gradient at a few times its norm before a step; at its own default where that is not known."""
    norm = run.gradient_norm[:row]
    usual = norm[np.isfinite(norm)][-thresholds.CALM_STEPS :]
    if usual.size < thresholds.CALM_LOSSES or not np.median(usual) > 0:
        return "clip-norm"
    return f"clip-norm:max={numerals.significant(thresholds.CLIP_TIMES * float(np.median(usual)), 2)}"


def target(run: RunAnalysis) -> str:
    """What was run, as it is typed behind ``bnprobe record``: the script or module with its own arguments."""
    attributes = run.recorded.attributes
    try:
        name, *arguments = map(str, json.loads(str(attributes.get("argv", ""))))
    except (ValueError, TypeError):
        return shlex.quote(str(attributes["script"])) if attributes.get("script") else "TARGET"
    if str(attributes.get("script", "")).startswith("-m "):
        return " ".join(["-m", shlex.quote(name), *(["--", shlex.join(arguments)] if arguments else [])])
    return shlex.join([name, *arguments])


def lower_rate(run: RunAnalysis) -> str:
    """Say how far to lower the learning rate: to one that has trained, where the recording was trained again, or to a tenth."""
    found = _trained_again(run)
    low = found.remedies[NONE].trains_at if found is not None else None
    return (
        f"Lower the learning rate to {number(low)}"
        if found is not None and low and low < found.own_rate
        else "Lower the learning rate to a tenth"
    )


def with_rate_search(run: RunAnalysis, sentence: str) -> str:
    """Add which learning rate is the largest that trains, where the recording was trained again, or how to find it."""
    found = _trained_again(run)
    if found is not None:
        told = "; ".join(
            f"{f'with {name}, ' if name != NONE else ''}{_at(one)}" for name, one in found.remedies.items() if name in (NONE, "msr")
        )
        cycled = f", cycled up to {found.steps}," if found.cycled else ""
        return f"{sentence}; trained again from their tape, its first {found.cycled or found.steps} steps{cycled} {told}."
    return f"{sentence}; `bnprobe lr-limit {target(run)}` finds the largest that trains."


def _trained_again(run: RunAnalysis) -> WhatIf | None:
    found = what_if_of(run.recorded)
    return found if found is not None and found.proved and NONE in found.remedies else None


def _at(answer: RemedyAnswer) -> str:
    if answer.trains_at is None:
        return "train at no rate tried"
    failed = next((one.outcome for one in answer.trials if one.on_grid and one.rate == answer.fails_at), "")
    ends = f" and {'are stuck' if failed == 'stuck' else 'diverge'} at {number(answer.fails_at)}" if answer.fails_at is not None else ""
    return f"train at {number(answer.trains_at)}{ends}"


def every_step(run: RunAnalysis, sentence: str) -> str:
    """Add how to have every step measured."""
    return f"{sentence}; `bnprobe record --every 1 --budget 1 {target(run)}` measures every step."
