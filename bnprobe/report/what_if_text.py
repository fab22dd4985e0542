"""The answers of a what-if in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from bnprobe.analyse.what_if import NONE, TAPES, RemedyAnswer, Retrained, WhatIf
from bnprobe.numerals import number
from bnprobe.report.wording import remedy_name

#: What became of a recorded training that is no success, in words.
_LOST = {"diverged": "diverged", "no-progress": "ended without progress", "collapsed-output": "ended with a collapsed output"}


def lines(found: WhatIf, outcome: str = "") -> list[str]:
    """Say what was found out: a line a remedy, then what has no answer.

    Args:
        found: the answers.
        outcome: what became of the whole recorded training, a word of ``diagnose.outcome``; empty where that is not known.
    """
    said = _proof(found)
    width = max((len(remedy_name(name)) + 1 for name in found.remedies), default=0)
    said += [f"{remedy_name(name) + ':':{width}} {sentence(answer)}" for name, answer in found.remedies.items()]
    said += beyond(found, outcome)
    said += from_here(found.from_here)
    return said + _refusals(found)


def asked_lines(found: WhatIf) -> list[str]:
    """Say what became of the trainings at rates that were asked for, a line each."""
    said = _proof(found)
    for one in (*(one for answer in found.remedies.values() for one in answer.trials), *found.from_here):
        outcome = _fails(one.outcome)
        where = ""
        if any(one is later for later in found.from_here):
            where, outcome = f" from step {one.start} on", "does not diverge" if one.trains else "diverges"
        said.append(f"{remedy_name(one.remedy)} at {number(one.rate)}{where}: {outcome}; {one.reason}")
    return said + _refusals(found)


def own_rate(found: WhatIf) -> str:
    """Say what the script's own rate is: one number, or those at the ends of a schedule."""
    first, last = found.own_rates
    if not _is_scheduled(found):
        return f"the script's own rate, {number(found.own_rate)}"
    peak = "" if number(found.own_rate) in (number(first), number(last)) else f", at most {number(found.own_rate)}"
    return f"the script's own rates, {number(first)} at the first update to {number(last)} at the last{peak}"


def _is_scheduled(found: WhatIf) -> bool:
    first, last = found.own_rates
    return first == first and last == last and not number(first) == number(last) == number(found.own_rate)


def _proof(found: WhatIf) -> list[str]:
    if not found.proved:
        return []
    said = [
        f"the first {found.cycled or found.steps} steps trained again from their tape; at {own_rate(found)}, "
        "that gives the recorded losses to the last bit"
    ]
    if _is_scheduled(found):
        said.append("a rate below is the largest of its schedule, which keeps its shape")
    if found.cycled:
        said.append(f"these are few: their batches were cycled, up to {found.steps} steps; what trains on so few need not train on others")
    return said


def _refusals(found: WhatIf) -> list[str]:
    said = [f"{_without(one.what)}: {one.why}" for one in found.refused]
    return said if found.proved else [*said, "bnprobe lr-limit finds the limit by trials of the script itself"]


def _without(what: str) -> str:
    """Say what there is not: an answer for a remedy, or for one at a rate."""
    if what == TAPES:
        return "the tapes are not kept"
    remedy, at, rate = what.partition(" at ")
    return f"no answer {'without a remedy' if remedy == NONE else f'for {remedy}'}{at}{rate}"


def beyond(found: WhatIf, outcome: str) -> list[str]:
    """Say where the recorded training became something else after the stretch than it was within it."""
    own = found.remedies[NONE].at_own if NONE in found.remedies else None
    where = f"after these {found.steps} steps"
    if own is not None and own.trains and outcome in _LOST:
        return [f"the recorded training {_LOST[outcome]} {where}: they are too few to tell which rates last; --what-if N takes more"]
    if own is not None and own.outcome == "stuck" and outcome in ("learns", "learns-poorly"):
        return [f"the recorded training learned {where}: what is stuck within them may train later; --what-if N takes more"]
    return []


def from_here(trials: Sequence[Retrained]) -> list[str]:
    """Say what would have kept a training that diverged, from a later step on."""
    said = []
    for remedy in dict.fromkeys(one.remedy for one in trials):
        own = [one for one in trials if one.remedy == remedy]
        kept = next((one for one in own if one.trains), None)
        where = f"from step {own[0].start} on, {remedy_name(remedy)}"
        if kept is None:
            said.append(f"{where}: diverges at every rate tried, down to {number(min(one.factor for one in own))} times the script's own")
        else:
            rates = "the script's own rates" if kept.factor == 1.0 else f"{number(kept.factor)} times the script's own rates"
            said.append(f"{where}: does not diverge at {rates}")
    return said


def sentence(answer: RemedyAnswer) -> str:
    """Say what was found out about one remedy."""
    low, high, own = answer.trains_at, answer.fails_at, answer.at_own
    if low is not None and high is not None:
        failure = next(one for one in answer.trials if one.rate == high)
        text = f"trains at {number(low)}, {_fails(failure.outcome)} at {number(high)}"
    elif low is not None:
        text = f"trains at {number(low)}, the fastest rate tried"
    elif high is not None:
        text = f"trains at no rate tried within these steps, diverges at {number(high)}"
    else:
        text = "trains at no rate tried within these steps"
    if own is not None:
        text += f"; at the script's own rate it {_fails(own.outcome) if not own.trains else 'trains'}"
    if len(answer.windows) > 1:
        text += "; rates that train: " + ", ".join(_window(*window) for window in answer.windows)
    return text


def _window(low: float, high: float) -> str:
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _fails(outcome: str) -> str:
    return "is still stuck" if outcome == "stuck" else outcome
