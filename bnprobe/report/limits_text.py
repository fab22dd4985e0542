"""Learning-rate limits as text for a terminal."""

from __future__ import annotations

import math
import textwrap

from bnprobe.analyse.limits import Search, estimates, searches
from bnprobe.report.limits_story import caveats, estimate_text, rate, stories
from bnprobe.report.wording import remedy_name
from bnprobe.store.limits_file import Limits, Trial

WIDTH = 100


def duration(seconds: float) -> str:
    """A time as a person says it.

    >>> duration(7.0), duration(100.0), duration(5400.0)
    ('7 s', '2 min', '1.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def trial_line(trial: Trial) -> str:
    """One trial in one line."""
    at = f"rate {rate(trial.peak_rate)}" if math.isfinite(trial.peak_rate) else "rate unknown"
    name = f"{remedy_name(trial.remedy)}, seed {trial.seed}"
    return f"{name}, {at} ({rate(trial.factor)} x): {trial.outcome}; {trial.reason} [{duration(trial.seconds)}]"


def table(limits: Limits) -> str:
    """Lay out the limits by remedy and seed, over all seeds with what each remedy buys, and what to know about them."""
    own = limits.own_rate
    rows: list[tuple[str, ...]] = [("remedy", "seed", "trains at", "fails at", "by", "trials")]
    rows += [
        (remedy_name(one.remedy), str(one.seed), *_ends(one, own), one.fails_by or "-", str(one.trials)) for one in searches(limits.trials)
    ]
    lines = [*aligned(rows), ""]
    for story in stories(limits):
        text = f"{remedy_name(story.remedy)}: the limit lies {story.limit}"
        text += f", that is {story.factor} times that with no remedy" if story.factor else ""
        text += f"; {story.own}" if story.own else f"; {story.failure}"
        text += f". First to deviate from its baseline: {story.first_layer}" if story.first_layer else ""
        lines += textwrap.wrap(f"{text}.", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    told = [one for one in estimates(limits.predictions, searches(limits.trials), own) if not one.is_projected]
    lines += ["", "What the recording at the script's own rate predicted:"] if told else []
    for one in told:
        lines += textwrap.wrap(estimate_text(one), WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    lines.append("")
    for sentence in caveats(limits):
        lines += textwrap.wrap(sentence, WIDTH, break_on_hyphens=False)
    return "\n".join(lines)


def _ends(search: Search, own: float) -> tuple[str, str]:
    if search.interval is None:
        return "-", "-"
    real = search.interval.scaled(own)
    return rate(real.trains_at) if real.trains_at else "-", rate(real.fails_at) if math.isfinite(real.fails_at) else "-"


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Return rows of cells as lines, each column as wide as its widest cell."""
    """Return rows of cells as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
