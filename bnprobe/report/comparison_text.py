"""Compared techniques as text for a terminal."""

from __future__ import annotations

import math
import textwrap

from bnprobe.analyse.comparison import rows_of
from bnprobe.numerals import number
from bnprobe.report.comparison_story import NOTHING, caveats, cells, headings, headline, why_not
from bnprobe.report.limits_text import WIDTH, aligned, duration
from bnprobe.report.wording import remedy_name
from bnprobe.store.comparison_file import WHOLE, Comparison, Trial


def trial_line(trial: Trial) -> str:
    """One trial in one line."""
    at = f"rate {number(trial.peak_rate)}" if math.isfinite(trial.peak_rate) else f"{number(trial.factor)} x the rate"
    name = f"{remedy_name(trial.remedy)}, seed {trial.seed}, {at}" + (f", {trial.length} steps" if trial.length != WHOLE else "")
    if trial.outcome == "refused":
        return f"{name}: not possible here: {trial.reason}"
    parts = [f"{trial.outcome}" if trial.outcome != "failed" else f"no outcome: {trial.reason}"]
    parts += [f"loss {number(trial.final_loss)}"] if math.isfinite(trial.final_loss) and trial.outcome != "diverges" else []
    parts += [f"held-out loss {number(trial.held_out_loss)}"] if math.isfinite(trial.held_out_loss) else []
    parts += [f"accuracy {100 * trial.held_out_accuracy:.1f} %"] if math.isfinite(trial.held_out_accuracy) else []
    return f"{name}: {', '.join(parts)} [{duration(trial.seconds)}]"


def table(comparison: Comparison) -> str:
    """The techniques in a table, and beneath it what to know about them."""
    rows = rows_of(comparison)
    columns = [headings(comparison), *(cells(row, comparison) for row in rows if not why_not(row))]
    known = [i for i in range(len(columns[0])) if i == 0 or any(row[i] != NOTHING for row in columns[1:])]
    lines = aligned([tuple(row[i] for i in known) for row in columns])
    for row in rows:
        if why := why_not(row):
            lines += textwrap.wrap(f"{remedy_name(row.technique)}: {why}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    lines += ["", *textwrap.wrap(f"{headline(comparison)}.", WIDTH, break_on_hyphens=False), ""]
    for sentence in caveats(comparison):
        lines += textwrap.wrap(sentence, WIDTH, break_on_hyphens=False)
    return "\n".join(lines)
