"""Files of learning-rate trials on a page about runs: what was found, and where each trial stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bnprobe.report.limits_page import headline, limits_figures
from bnprobe.report.limits_story import RemedyStory, stories
from bnprobe.report.panels import Panel, Panels
from bnprobe.store.limits_file import Limits

#: The figures of a page of trials that a page about runs shows too, and what each is called there.
_FIGURES = {
    "survival": ("Survival", "Each mark is one trial; the bar joins the fastest rate that trains with the slowest above it that fails."),
    "final": ("Loss at the end", "The line joins the medians over seeds. Trials that diverged stand at the upper edge."),
}


@dataclass(frozen=True)
class LimitsSection:
    """One file of trials.

    Attributes:
        label: its file's name without the ending.
        script: what was tried.
        headline: what was found, in a sentence.
        stories: the same, by remedy.
        panels: its figures; none where no trial has an outcome.
    """

    label: str
    script: str
    headline: str
    stories: list[RemedyStory]
    panels: list[Panel]


def limits_sections(found: Sequence[Limits], panels: Panels) -> list[LimitsSection]:
    """Add the figures of files of trials to those of a page, and return its sections."""
    return [_section(number, limits, panels) for number, limits in enumerate(found)]


def _section(number: int, limits: Limits, panels: Panels) -> LimitsSection:
    drawn = limits_figures(limits)
    shown = [panels.add(f"limits-{number}-{key}", title, 0, drawn[key], note) for key, (title, note) in _FIGURES.items() if key in drawn]
    script = str(limits.attributes.get("script", limits.path.stem))
    return LimitsSection(limits.path.stem, script, headline(limits), stories(limits), shown)
