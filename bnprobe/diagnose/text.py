"""Findings as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from bnprobe.diagnose.diagnosis import Diagnosis
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.wording import measured, number

WIDTH = 100


def to_text(diagnosis: Diagnosis) -> str:
    """Lay a diagnosis out for reading.

    First the outcome, the verdict, the other causes, and beneath each what follows from it; what came near in a line.
    """
    told = [_one(finding) for finding in diagnosis if not finding.is_candidate]
    near = ", ".join(_near(finding) for finding in diagnosis if finding.is_candidate)
    nearest = [*_paragraph(f"Less evidence than is asked for, the nearest first: {near} (--json has the numbers).")] if near else []
    return "\n\n".join([outcome_text(diagnosis), *told, *(["\n".join(nearest).strip()] if nearest else [])])


def outcome_text(diagnosis: Diagnosis) -> str:
    """The outcome as a paragraph, and how its losses were smoothed."""
    found, course = diagnosis.outcome, diagnosis.analysis.course
    text = f"outcome: {found.word.replace('-', ' ')}: {found.reason}."
    if course is not None and found.word not in ("diverged", "unclear"):
        text += f" First and last loss are medians of the first {course.early_steps} and the last {course.late_steps} steps."
    return textwrap.fill(printable(text), WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def verdict_line(findings: Sequence[Finding]) -> str:
    """The verdict in one line.

    >>> verdict_line([Finding("healthy", "info", 0.9, (), None, (), "Nothing speaks against this training.", "", "")])
    'healthy: Nothing speaks against this training.'
    """
    return printable(f"{findings[0].id}: {findings[0].cause}")


def printable(text: str) -> str:
    r"""Show what would steer a terminal as an escape: a layer's name comes from the script.

    >>> printable("a\nb é")
    'a\\nb é'
    """
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _place(finding: Finding) -> str:
    where = f" in {' and '.join(finding.layers)}" if finding.layers else ""
    when = f" at step {finding.step}" if finding.step is not None else ""
    return f"{finding.id}{where}{when}"


def _near(finding: Finding) -> str:
    word = finding.trial.partition(":")[0]
    return f"{_place(finding)} ({word})" if word else _place(finding)


def _one(finding: Finding) -> str:
    why = f", follows from {' and '.join(finding.follows_from)}" if finding.follows_from else ""
    head = f"{finding.severity}: {_place(finding)} (confidence {finding.confidence:.2f}{why})"
    lines = [printable(head), *_paragraph(finding.cause)]
    if finding.trial:
        lines += _paragraph(f"{finding.trial[:1].upper()}{finding.trial[1:]}.")
    if finding.severity != "info":
        lines += _paragraph(f"To do: {finding.fix}")
    return "\n".join(lines + [f"    {printable(_evidence(one))}" for one in finding.evidence])


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(printable(text), WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _evidence(one: Evidence) -> str:
    limit = f" (threshold {number(one.threshold)})" if one.threshold is not None else ""
    when = f" at step {one.step}" if one.step is not None else ""
    return f"{one.what}: {measured(one.value, one.units)}{when}{limit}"
