"""One self-contained page about the learning rates up to which a script trains: in the manner of the page about a run."""

from __future__ import annotations

import math
from pathlib import Path

from bnprobe.analyse.limits import estimates, searches
from bnprobe.report.document import render_document, write_document
from bnprobe.report.figures.limits import courses, final_loss, predicted, share, survival
from bnprobe.report.limits_story import caveats, interval_text, rate, stories
from bnprobe.report.packing import pack
from bnprobe.report.wording import number
from bnprobe.store.limits_file import NO_REMEDY, Limits, Trial, read_limits

_FIRST_ATTRIBUTES = ("command", "script", "argv", "cwd", "created", "status", "steps", "seeds", "remedies", "rates")


def write_limits_page(path: Path, output: Path) -> None:
    """Write the page about a file of trials.

    Raises:
        RunFileError: the file is missing or holds no trials.
        UsageError: the page cannot be written.
    """
    write_document(render_limits(read_limits(path)), output)


def render_limits(limits: Limits) -> str:
    """Return the page's text."""
    found = searches(limits.trials)
    told = stories(limits)
    has_outcomes = any(trial.outcome != "failed" for trial in limits.trials) and 0 < limits.own_rate < math.inf
    drawn = {"survival": survival(limits, found), "share": share(limits, found), "final": final_loss(limits, found)} if has_outcomes else {}
    by_remedy = {f"courses-{i}": (story.remedy, courses(limits, story.remedy)) for i, story in enumerate(told)} if has_outcomes else {}
    recorded = list(dict.fromkeys(one.remedy for one in limits.predictions))
    foretold = {f"predicted-{i}": (remedy, predicted(limits, found, remedy)) for i, remedy in enumerate(recorded)} if has_outcomes else {}
    figures = {
        **drawn,
        **{name: figure for name, (_, figure) in foretold.items()},
        **{name: figure for name, (_, figure) in by_remedy.items()},
    }
    return render_document(
        "limits.html",
        {"rate": rate, "interval": interval_text, "number": number, "layer": _layer},
        {name: {**pack(figure), "run": 0} for name, figure in figures.items()},
        limits=limits,
        script_name=str(limits.attributes.get("script", limits.path.stem)),
        headline=_headline(limits),
        stories=told,
        found=found,
        own=limits.own_rate,
        trials=sorted(limits.trials, key=lambda one: (one.remedy != NO_REMEDY, one.remedy, one.seed, one.grid_index)),
        trial_rate=_trial_rate,
        caveats=caveats(limits),
        heights={name: int(figure.layout.height) for name, figure in figures.items()},
        foretold={name: remedy for name, (remedy, _) in foretold.items()},
        estimates=estimates(limits.predictions, found, limits.own_rate),
        courses={name: remedy for name, (remedy, _) in by_remedy.items()},
        attributes=_attribute_lines(limits),
    )


def _headline(limits: Limits) -> str:
    """The page in one line."""
    told = stories(limits)
    if not told:
        return "No trial has ended yet"
    first = told[0]
    if first.failure:
        return f"No limit was found: {first.failure}"
    name = "The script" if first.remedy == NO_REMEDY else f"With {first.remedy} the script"
    return f"{name} trains up to a learning rate somewhere {first.limit}"


def _trial_rate(trial: Trial, own: float) -> str:
    return rate(trial.factor * own) if math.isfinite(own) else "–"


def _layer(trial: Trial) -> str:
    return f"{trial.layer}, step {trial.layer_step}" if trial.layer else "–"


def _attribute_lines(limits: Limits) -> list[tuple[str, str]]:
    names = [name for name in _FIRST_ATTRIBUTES if name in limits.attributes]
    names += sorted(set(limits.attributes) - set(names))
    return [(name, str(limits.attributes[name])) for name in names if str(limits.attributes[name])]
