"""Trials of a verdict as text for a terminal."""

from __future__ import annotations

import math
import textwrap

from bnprobe.numerals import number
from bnprobe.store.confirm_file import Confirmation, Judgement, Trial

WIDTH = 100


def trial_line(trial: Trial) -> str:
    """One trial in a line.

    >>> trial_line(Trial("clear-gradients", "ran", outcome="learns", level=2, steps=112, start=2.3, late=0.29, seconds=3.7))
    'clear-gradients: learns, loss 2.3 → 0.29 in 112 steps (4 s)'
    """
    if trial.status == "refused":
        return f"{trial.name}: not possible here: {trial.why}"
    if trial.status == "failed":
        return f"{trial.name}: no outcome: {trial.why} ({trial.seconds:.0f} s)"
    return f"{trial.name}: {_word(trial)}, loss {_losses(trial)} in {trial.steps} steps ({trial.seconds:.0f} s)"


def table(confirmation: Confirmation) -> str:
    """The trials in a table, and beneath it what they say of each cause."""
    rows = [("trial", "outcome", "loss", "steps", "changed"), *rows_of(confirmation)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip() for row in rows]
    return "\n".join([*lines, "", *(judgement_text(one) for one in confirmation.judgements)])


def rows_of(confirmation: Confirmation) -> list[tuple[str, str, str, str, str]]:
    """The trials as rows of cells: what was changed, outcome, losses, steps, on what it acted."""
    rows = []
    for trial in confirmation.trials:
        if trial.status == "ran":
            rows.append((trial.name, _word(trial), _losses(trial), str(trial.steps), trial.acts or "nothing"))
        else:
            rows.append((trial.name, "–", "–", str(trial.steps or "–"), "not possible here" if trial.status == "refused" else "no outcome"))
    return rows


def judgement_text(judgement: Judgement) -> str:
    """What the trials say of one cause, as a paragraph."""
    text = f"{judgement.word}: {judgement.cause}: {judgement.reason}."
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _word(trial: Trial) -> str:
    return trial.outcome.replace("-", " ")


def _losses(trial: Trial) -> str:
    first = number(trial.start) if math.isfinite(trial.start) else "–"
    late = "–" if trial.outcome == "untrained" else "lost"
    return f"{first} → {number(trial.late) if math.isfinite(trial.late) else late}"
