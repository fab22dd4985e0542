"""What trials at scaled learning rates say, in sentences: for the page and for the terminal alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bnprobe.analyse.limits import TOGETHER, Estimate, Interval, Search, gains, hull, searches
from bnprobe.analyse.stopping_rate import WORTH
from bnprobe.numerals import number
from bnprobe.report.wording import plural, remedy_name
from bnprobe.store.limits_file import NO_REMEDY, Limits, Trial

#: A rate that rises by this factor over the last tenth of a trial is still in its warm-up.
_RISING = 1.001


@dataclass(frozen=True)
class RemedyStory:
    """What was found for one remedy over all its seeds.

    Attributes:
        remedy: specifications joined by '+', or NONE.
        limit: the interval of the limit in words.
        own: how that lies to the script's own rate, in words.
        factor: what the remedy buys over none, in words; "" for none itself, or where there is nothing to compare with.
        fails_by: how the trials just above the limit failed.
        first_layer: which layer deviated from its baseline first in these, in words.
        acts: what the remedy acted on.
        failure: why there is no outcome, or "".
    """

    remedy: str
    limit: str
    own: str
    factor: str
    fails_by: str
    first_layer: str
    acts: str
    failure: str


def rate(value: float) -> str:
    """A learning rate in three digits.

    >>> rate(0.0299), rate(1.495), rate(3.2e-7), rate(1000.0)
    ('0.0299', '1.5', '3.2e-07', '1000')
    """
    return number(value)


def interval_text(interval: Interval | None) -> str:
    """An interval in words, open ends said to be open.

    >>> interval_text(Interval(0.1, 0.1495)), interval_text(Interval(0.0, 0.1)), interval_text(Interval(0.1, math.inf))
    ('between 0.1 and 0.149', 'below 0.1', 'above 0.1')
    """
    if interval is None:
        return "unknown"
    if interval.is_closed:
        return f"between {rate(interval.trains_at)} and {rate(interval.fails_at)}"
    if math.isfinite(interval.fails_at):
        return f"below {rate(interval.fails_at)}"
    return f"above {rate(interval.trains_at)}" if interval.trains_at > 0 else "unknown"


def stories(limits: Limits) -> list[RemedyStory]:
    """Tell of every remedy, in the order in which they were tried."""
    found = searches(limits.trials)
    return [_story(limits, found, remedy) for remedy in dict.fromkeys(one.remedy for one in found)]


def _story(limits: Limits, found: Sequence[Search], remedy: str) -> RemedyStory:
    mine = [one for one in found if one.remedy == remedy]
    over_all = hull([one.interval for one in mine if one.interval is not None])
    factor = gains(found, remedy) if remedy != NO_REMEDY else None
    failing = [trial for one in mine for trial in _just_above(limits.trials, one)]
    layers = [f"{trial.layer} at step {trial.layer_step}" for trial in failing if trial.layer]
    failure = next((one.failure for one in mine if one.interval is None), "")
    return RemedyStory(
        remedy=remedy,
        limit=interval_text(over_all.scaled(limits.own_rate) if over_all else None),
        own=_against_own(over_all, [trial for trial in limits.trials if trial.remedy == remedy and trial.factor == 1.0]),
        factor=interval_text(factor) if factor is not None else "",
        fails_by=" and ".join(dict.fromkeys(trial.outcome for trial in failing)),
        first_layer="; ".join(dict.fromkeys(layers)),
        acts=next((trial.remedy_acts for trial in limits.trials if trial.remedy == remedy and trial.remedy_acts), ""),
        failure=failure,
    )


def _just_above(trials: Sequence[Trial], search: Search) -> list[Trial]:
    """The slowest trial of a search that failed above its limit."""
    if search.interval is None or not math.isfinite(search.interval.fails_at):
        return []
    same = (one for one in trials if (one.remedy, one.seed) == (search.remedy, search.seed) and one.outcome != "failed")
    return [one for one in same if math.isclose(one.factor, search.interval.fails_at)]


def _against_own(limit: Interval | None, trials: Sequence[Trial]) -> str:
    """Say what the script's own rate does: what was seen at that rate before what its place in the interval suggests."""
    stuck = sum(trial.outcome == "stuck" for trial in trials)
    if stuck:
        where = "at every seed" if stuck == len(trials) else f"at {stuck} of {plural(len(trials), 'seed')}"
        return f"the script's own rate is stuck {where}"
    if limit is None:
        return ""
    if limit.trains_at >= 1:
        return "the script's own rate trains at every seed"
    if limit.fails_at <= 1:
        return "the script's own rate is too large at every seed"
    return "the script's own rate lies within this interval: it is at the edge"


def estimate_text(one: Estimate) -> str:
    """One way of predicting, in one sentence, beside what the trials found."""
    text = f"{remedy_name(one.remedy)}, {one.name}: {interval_text(one.lowest)} at step {one.step}"
    text += f", the strictest of {plural(one.steps, 'step')}" if one.steps > 1 else ""
    text += f" (their median is {interval_text(one.middle)})" if one.steps > 1 else ""
    return text + (f"; {interval_text(one.ratio)} times the limit that trials found" if one.ratio is not None else "")


def caveats(limits: Limits) -> list[str]:
    """What the reader has to know to believe no more than was found."""
    return [
        sentence
        for ask in (_extent, _scaling, _predictions, _rising, _same_seeds, _odd_ones, _open_ends, _status)
        for sentence in ask(limits)
    ]


def _extent(limits: Limits) -> list[str]:
    seeds = len({trial.seed for trial in limits.trials})
    steps = limits.attributes.get("steps", "?")
    return [
        f"Trials of {steps} steps from the start of the training, {plural(seeds, 'seed')}. A training that goes on for longer may fail "
        "at a rate that trains here. Both ends of an interval are trials that were made; the limit lies somewhere between them."
    ]


def _predictions(limits: Limits) -> list[str]:
    if not limits.predictions:
        return []
    worth = [f"The prediction from all line probes is one number for the whole recording, with the interval of its calibration. {WORTH}"]
    return [
        "Predictions come from the recording of the trial at the script's own rate, seed 0. The curvature tells from which rate on a "
        "step on a quadratic would swing ever wider (2 over the sharpness, and its like for other optimizers); the line probe, how far "
        "the update of one step could be followed until the loss rises, or is a thousand times what it was. Both speak of one batch at "
        "one step, and neither tells of a network that is stuck. Curvature under Adam and RMSprop is left out until the "
        "optimizer has made as many steps as its second moments remember, 1 / (1 - beta2) or 1 / (1 - alpha): before, it says nothing.",
        *(worth if any(one.estimate == TOGETHER for one in limits.predictions) else []),
    ]


def _scaling(limits: Limits) -> list[str]:
    return [
        "Rates are told as the largest that any parameter group has within a trial "
        f"({rate(limits.own_rate)} for the script as it is). Every group was multiplied by the same factor at every step, whatever the "
        "schedule; what is proportional to the rate scales with it, such as the decoupled weight decay of AdamW."
    ]


def _rising(limits: Limits) -> list[str]:
    whole = [trial for trial in limits.trials if trial.outcome == "trains" and len(trial.rate) > 1]
    if any(trial.rate[-1] > _RISING * trial.rate[-1 - max(1, len(trial.rate) // 10)] for trial in whole):
        return ["The script's rate was still rising when the trials ended: they say nothing of the rates after its warm-up. Raise --steps."]
    return []


def _same_seeds(limits: Limits) -> list[str]:
    first = {(trial.remedy, trial.grid_index): trial for trial in limits.trials if trial.seed == 0}
    pairs = [
        (trial, first[trial.remedy, trial.grid_index])
        for trial in limits.trials
        if trial.seed and (trial.remedy, trial.grid_index) in first
    ]
    same = [one for one, other in pairs if len(one.loss) and np.array_equal(one.loss, other.loss, equal_nan=True)]
    if pairs and len(same) == len(pairs):
        return ["The seeds made no difference: the script draws nothing from the global random generators. They count as one."]
    return []


def _odd_ones(limits: Limits) -> list[str]:
    odd = sum(one.odd_ones for one in searches(limits.trials))
    return [f"{plural(odd, 'trial')} failed below a rate that trains: near the limit the outcome is a matter of chance."] if odd else []


def _open_ends(limits: Limits) -> list[str]:
    lines = []
    for one in searches(limits.trials):
        where = f"{remedy_name(one.remedy)}, seed {one.seed}"
        if one.interval is None:
            lines.append(f"{where}: no outcome, {one.failure}.")
        elif not one.interval.trains_at:
            lines.append(f"{where}: none of the {one.trials} rates that were tried trains.")
        elif math.isinf(one.interval.fails_at):
            lines.append(f"{where}: none of the {one.trials} rates that were tried is too large.")
    return lines


def _status(limits: Limits) -> list[str]:
    if limits.attributes.get("status") == "finished":
        return []
    return ["The search was not finished: the same command goes on with it."]
