"""The verdict: all causes asked, the findings ranked, consequences behind what they follow from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bnprobe.diagnose import activations, divergence, gradients, health, optimisation, units
from bnprobe.diagnose.case import Case
from bnprobe.diagnose.finding import Finding
from bnprobe.diagnose.text import verdict_line
from bnprobe.store.reader import Run

__all__ = ["CAUSES", "diagnose", "verdict_line"]

#: Every cause: one function of an analysed run each.
CAUSES: tuple[Callable[[Case], Finding | None], ...] = (
    divergence.numerical_fault,
    activations.exploding_activations,
    activations.mean_shift,
    gradients.vanishing_gradients,
    gradients.exploding_gradients,
    units.dead_units,
    divergence.learning_rate_too_high,
    optimisation.learning_rate_too_low,
)
#: Asked in this order when no cause was found.
REMAINS: tuple[Callable[[Case], Finding | None], ...] = (divergence.unexplained_divergence, optimisation.stuck)

#: What a cause brings about when it is there: a finding on the right follows from one on the left, unless it showed before it.
EXPLAINS: dict[str, tuple[str, ...]] = {
    "numerical-fault": ("learning-rate-too-high", "exploding-gradients", "exploding-activations", "mean-shift"),
    "exploding-activations": ("mean-shift", "exploding-gradients", "learning-rate-too-high", "dead-units"),
    "mean-shift": ("exploding-activations", "learning-rate-too-high", "dead-units", "vanishing-gradients"),
    "exploding-gradients": ("learning-rate-too-high", "exploding-activations"),
    "vanishing-gradients": ("learning-rate-too-low", "mean-shift"),
    "learning-rate-too-high": ("exploding-activations", "exploding-gradients", "mean-shift", "dead-units"),
    "dead-units": ("mean-shift", "vanishing-gradients"),
}
_SEVERITY = {"error": 0, "warning": 1, "info": 2}


def diagnose(run: Run) -> list[Finding]:
    """Name what the recording shows, first the verdict, then other causes, then what follows from them.

    Args:
        run: a recorded run, complete or not.

    Returns:
        At least one finding; the only one of a healthy run is ``healthy``.
    """
    case = Case(run)
    if empty := health.nothing_recorded(case):
        return [empty]
    found = [finding for cause in CAUSES if (finding := cause(case)) is not None]
    if not any(finding.severity == "error" for finding in found):
        found += [finding for remains in REMAINS if (finding := remains(case)) is not None]
    return _rank(found) if found else [health.healthy(case)]


def _rank(found: list[Finding]) -> list[Finding]:
    """Roots first, the most certain of the gravest first; each consequence linked to the root that explains it."""
    linked = _link(found)
    return sorted(linked, key=lambda one: (bool(one.follows_from), _SEVERITY[one.severity], -one.confidence))


def _link(found: list[Finding]) -> list[Finding]:
    """Keep of the claimed origins those that were found; then let the most certain root explain what it can."""
    known = {finding.id for finding in found}
    linked = [replace(finding, follows_from=tuple(one for one in finding.follows_from if one in known)) for finding in found]
    roots = sorted((one for one in linked if not one.follows_from), key=lambda one: (_SEVERITY[one.severity], -one.confidence))
    explained: dict[str, str] = {}
    for root in roots:
        if root.id in explained:
            continue
        for other in roots:
            if other.id in EXPLAINS.get(root.id, ()) and other.id != root.id and other.id not in explained:
                explained[other.id] = root.id
    return [replace(one, follows_from=(explained[one.id],)) if one.id in explained else one for one in linked]
