"""How often diagnoses are right: pure counting, so that it can be tested by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bnprobe.diagnose import Finding
from tests.faults.judging import Diagnosed
from tests.faults.program import HEALTHY

GRAVE = ("error", "warning")


#: Standard deviations of a normal distribution within which 95 % lie.
DEVIATIONS_95 = 1.959964


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    right: int
    of: int

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.right}/{self.of} = {self.right / self.of:.1%} ({low:.1%} to {high:.1%})" if self.of else "none"

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share that it is a sample of (Wilson 1927, without continuity correction).

        >>> tuple(round(end, 3) for end in Share(9, 10).interval)
        (0.596, 0.982)
        """
        if not self.of:
            return 0.0, 1.0
        share, z = self.right / self.of, DEVIATIONS_95
        centre = share + z**2 / (2 * self.of)
        half = z * math.sqrt(share * (1.0 - share) / self.of + z**2 / (4 * self.of**2))
        return max(0.0, (centre - half) / (1.0 + z**2 / self.of)), min(1.0, (centre + half) / (1.0 + z**2 / self.of))


@dataclass(frozen=True)
class Figures:
    """The accuracy of a set of diagnoses.

    Attributes:
        top1: faults whose cause is the verdict.
        top3: faults whose cause is among the first three findings.
        layer: faults with a place whose cause was found with the first layer named in that place.
        layer_of_found: the same among those whose cause is among the findings at all.
        step: faults with a beginning whose cause was found with a step in that range.
        step_of_found: the same among those whose cause is among the findings at all.
        alarms: healthy runs (healthy programs and programs without their fault) whose gravest finding is of that severity.
        healthy: healthy runs whose verdict is that they learn, or that their loss cannot tell.
        confusion: (cause, verdict) to number of runs.
    """

    top1: Share
    top3: Share
    layer: Share
    layer_of_found: Share
    step: Share
    step_of_found: Share
    alarms: dict[str, Share]
    healthy: Share
    confusion: Counter[tuple[str, str]]


def verdict(diagnosed: Diagnosed) -> str:
    """The verdict's id."""
    return diagnosed.findings[0].id if diagnosed.findings else "no run file"


def is_expected(diagnosed: Diagnosed) -> bool:
    """Whether the verdict is the cause; of a healthy run, that it learns or that its loss cannot tell, as a GAN's."""
    expected = (HEALTHY, "inconclusive") if diagnosed.take.expected == HEALTHY else (diagnosed.take.expected,)
    return verdict(diagnosed) in expected


def gravest(findings: Sequence[Finding]) -> str:
    """The gravest severity among findings: error, warning or info."""
    return next((one for one in GRAVE if any(finding.severity == one for finding in findings)), "info")


def figures(diagnosed: Iterable[Diagnosed]) -> Figures:
    """Count."""
    everything = list(diagnosed)
    faults = [one for one in everything if one.take.expected != HEALTHY]
    healthy = [one for one in everything if one.take.expected == HEALTHY]
    places = [one for one in faults if one.take.program.layers]
    times = [one for one in faults if one.take.program.steps is not None]
    return Figures(
        top1=Share(sum(verdict(one) == one.take.expected for one in faults), len(faults)),
        top3=Share(sum(is_among(one, 3) for one in faults), len(faults)),
        layer=Share(sum(is_layer_right(one) for one in places), len(places)),
        layer_of_found=Share(sum(is_layer_right(one) for one in places), sum(is_among(one) for one in places)),
        step=Share(sum(is_step_right(one) for one in times), len(times)),
        step_of_found=Share(sum(is_step_right(one) for one in times), sum(is_among(one) for one in times)),
        alarms={severity: Share(sum(gravest(one.findings) == severity for one in healthy), len(healthy)) for severity in GRAVE},
        healthy=Share(sum(map(is_expected, healthy)), len(healthy)),
        confusion=Counter((one.take.expected, verdict(one)) for one in everything),
    )


def is_among(diagnosed: Diagnosed, first: int | None = None) -> bool:
    """Whether the cause is among the first findings."""
    return any(finding.id == diagnosed.take.expected for finding in diagnosed.findings[:first])


def is_layer_right(diagnosed: Diagnosed) -> bool:
    """Whether the finding of the right cause names, first of all, a layer that is the right place."""
    found = _found(diagnosed)
    return found is not None and bool(found.layers) and diagnosed.take.program.is_place(found.layers[0])


def is_step_right(diagnosed: Diagnosed) -> bool:
    """Whether the finding of the right cause names a step at which the fault began, give or take the steps between two measured."""
    found = _found(diagnosed)
    return found is not None and found.step is not None and diagnosed.take.program.is_time(found.step, diagnosed.take.every - 1)


def _found(diagnosed: Diagnosed) -> Finding | None:
    return next((finding for finding in diagnosed.findings if finding.id == diagnosed.take.expected), None)
