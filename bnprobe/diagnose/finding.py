"""One finding: a named cause with its place, its step, its evidence and its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Evidence:
    """One number that speaks for a finding, beside the threshold it crossed.

    Attributes:
        what: the quantity, in the vocabulary of the documentation.
        value: its value.
        threshold: the value it was compared with, or None where it is told for context.
        units: SI unit, or "" for a dimensionless quantity.
        step: the step it was read at, or None.
    """

    what: str
    value: float
    threshold: float | None = None
    units: str = ""
    step: int | None = None


@dataclass(frozen=True)
class Finding:
    """A cause that the recording shows.

    Attributes:
        id: stable identifier, such as "exploding-activations".
        severity: error (the training failed), warning (training is harmed or at risk), info.
        confidence: 0 to 1, how well the evidence tells this cause from those that look alike.
        layers: dotted names of where it is, the place where it began first.
        step: first step at which it shows, or None.
        evidence: the numbers.
        cause: one sentence, what happened and why.
        fix: one sentence, what to do, with the command to try it where there is one.
        source: the paper or definition it rests on.
        follows_from: ids of findings that explain this one; empty for a cause of its own.
        is_candidate: whether less evidence speaks for it than is asked for: it only came near.
        trial: what a trial said of it ("confirmed by trial: ..."); "" where none was made.
    """

    id: str
    severity: Severity
    confidence: float
    layers: tuple[str, ...]
    step: int | None
    evidence: tuple[Evidence, ...]
    cause: str
    fix: str
    source: str
    follows_from: tuple[str, ...] = ()
    is_candidate: bool = False
    trial: str = ""
