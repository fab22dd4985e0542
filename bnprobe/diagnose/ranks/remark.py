"""Something that the ranks of a training show beside each other."""

from __future__ import annotations

from dataclasses import dataclass

from bnprobe.diagnose.finding import Severity


@dataclass(frozen=True)
class Remark:
    """One sentence on several ranks.

    Attributes:
        id: what it is about, stable.
        severity: error (it ended the training), warning (it harms it, or most likely), info.
        text: the sentence with its numbers.
        fix: what to do; "" where there is nothing.
    """

    id: str
    severity: Severity
    text: str
    fix: str = ""
