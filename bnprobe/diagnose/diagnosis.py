"""A diagnosis: one analysed run with what was found in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from bnprobe.diagnose.finding import Finding
from bnprobe.diagnose.outcome import Outcome
from bnprobe.diagnose.run_analysis import RunAnalysis


@dataclass(frozen=True)
class Diagnosis(Sequence[Finding]):
    """The findings of a run, the verdict first, with the analysis they rest on: what a page or a document needs is computed once.

    Attributes:
        analysis: the run and the quantities that were computed of it.
        outcome: what became of the training, before any cause.
        findings: at least one.
    """

    analysis: RunAnalysis
    outcome: Outcome
    findings: tuple[Finding, ...]

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
