"""A diagnosis: one analysed run with what was found in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from bnprobe.analyse.views import RunView
from bnprobe.diagnose.finding import Finding
from bnprobe.diagnose.outcome import Outcome
from bnprobe.diagnose.run_analysis import RunAnalysis


@dataclass(frozen=True)
class Diagnosis(Sequence[Finding]):
    """The findings of a run, the verdict first, with the analysis they rest on: what a page or a document needs is computed once.

    Attributes:
        analysis: the training that was judged and the quantities that were computed of it: what every sentence speaks of.
        outcome: what became of the training, before any cause.
        findings: at least one.
        recording: the whole recording, where the training that was judged is one of several in it; None where it is all.
        where: which of them it is, in words; "" where there is one.
    """

    analysis: RunAnalysis
    outcome: Outcome
    findings: tuple[Finding, ...]
    recording: RunView | None = None
    where: str = ""

    @property
    def recorded(self) -> RunView:
        """All that was recorded: what figures show."""
        return self.recording if self.recording is not None else self.analysis.recorded

    @property
    def verdict(self) -> Finding:
        """The first finding."""
        return self.findings[0]

    def __len__(self) -> int:
        return len(self.findings)

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Finding, ...]: ...
    def __getitem__(self, index: int | slice) -> Finding | tuple[Finding, ...]:
        return self.findings[index]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)
