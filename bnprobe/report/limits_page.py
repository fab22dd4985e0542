"""One self-contained page about the learning rates up to which a script trains: in the manner of the page about a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go

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
    figures = limits_figures(limits)
    by_remedy = {f"courses-{i}": story.remedy for i, story in enumerate(told) if f"courses-{i}" in figures}
    foretold = {f"predicted-{i}": remedy for i, remedy in enumerate(_predicted_with(limits)) if f"predicted-{i}" in figures}
    return render_document(
        "limits.html",
        {"rate": rate, "interval": interval_text, "number": number, "layer": _layer},
        {name: {**pack(figure), "run": 0} for name, figure in figures.items()},
        limits=limits,
        script_name=str(limits.attributes.get("script", limits.path.stem)),
        headline=headline(limits),
        stories=told,
        found=found,
        own=limits.own_rate,
        trials=sorted(limits.trials, key=lambda one: (one.remedy != NO_REMEDY, one.remedy, one.seed, one.grid_index)),
        trial_rate=_trial_rate,
        caveats=caveats(limits),
        heights={name: int(figure.layout.height) for name, figure in figures.items()},
        foretold=foretold,
        estimates=estimates(limits.predictions, found, limits.own_rate),
        courses=by_remedy,
        attributes=attribute_lines(limits.attributes),
    )


def limits_figures(limits: Limits) -> dict[str, go.Figure]:
    """Return the page's figures by their places; none where no trial has an outcome."""
    if all(trial.outcome == "failed" for trial in limits.trials) or not 0 < limits.own_rate < math.inf:
        return {}
    found = searches(limits.trials)
    return {
        "survival": survival(limits, found),
        "share": share(limits, found),
        "final": final_loss(limits, found),
        **{f"predicted-{i}": predicted(limits, found, remedy) for i, remedy in enumerate(_predicted_with(limits))},
        **{f"courses-{i}": courses(limits, story.remedy) for i, story in enumerate(stories(limits))},
    }


def _predicted_with(limits: Limits) -> list[str]:
    return list(dict.fromkeys(one.remedy for one in limits.predictions))


def headline(limits: Limits) -> str:
    """Say in one sentence, without its full stop, what was found."""
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


def attribute_lines(attributes: Mapping[str, str | int | float]) -> list[tuple[str, str]]:
    """The root attributes of a file of trials, those that a reader asks for first."""
    names = [name for name in _FIRST_ATTRIBUTES if name in attributes]
    names += sorted(set(attributes) - set(names))
    return [(name, str(attributes[name])) for name in names if str(attributes[name])]
