"""Parallel parts of a network, the experts of a mixture say, of which most are never asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bnprobe.analyse.layers import TRANSFORMING, module_of
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import loss_summary, percent

_BALANCE = "Shazeer et al. 2017 (1701.06538), section 4; Fedus, Zoph, Shazeer 2021 (2101.03961), section 2.2: a loss that balances experts"
#: The number of a module in a list of modules; what stands before is the list's name, what comes behind is inside the module.
_NUMBER = re.compile(r"\.\d+(?=\.)")


@dataclass(frozen=True)
class _Parts:
    """Parts of a network that are made alike.

    Attributes:
        name: dotted name of the list of modules that they make.
        asked: by part the share of the measured steps that reach it.
        has_router: whether a layer before them is seen to choose among them.
    """

    name: str
    asked: dict[str, float]
    has_router: bool

    @property
    def used(self) -> float:
        """The share of the parts that are asked now and then."""
        return sum(share >= thresholds.IDLE_STEPS_SHARE for share in self.asked.values()) / len(self.asked)


def idle_experts(run: RunAnalysis) -> Finding | None:
    """Of several parts made alike, an optimizer has all and gradients reach few: the others are never asked and stay as they were drawn.

    Looks, for each list of modules with the same weights, in how many of the measured steps a gradient reached each of them. A router
    without a term that spreads its choices gives all samples to the experts that it happened to prefer at first. Looks like frozen
    parameters; those run in every forward, and what was seen to run is not idle. A task may need few of its experts, or train one head of
    several at a time: where the loss came far down, or no router is seen, nothing is accused, and it is told for information.
    """
    idle_ones = [one for one in _parts_made_alike(run) if one.used <= thresholds.USED_EXPERTS]
    if not idle_ones:
        return None
    found = min(idle_ones, key=lambda one: (not one.has_router, one.used))
    used, parts, name = found.used, found.asked, found.name
    busiest = max(parts, key=lambda part: parts[part])
    idle = tuple(part for part in parts if parts[part] < thresholds.IDLE_STEPS_SHARE)
    return Finding(
        id="idle-experts",
        severity="warning" if run.could_fall_further and found.has_router else "info",
        confidence=0.7,
        layers=idle[:3],
        step=run.step(run.first_row),
        evidence=(
            Evidence("share of the parts that gradients reach", used, thresholds.USED_EXPERTS),
            Evidence(f"share of the measured steps at which one reached {busiest}", parts[busiest], None),
            Evidence("the same, on average over the others", _mean_of_others(parts, busiest), None),
        ),
        cause=f"Of {len(parts)} parts of {name} that are made alike, {len(idle)} are hardly ever asked: a gradient reaches them in less "
        f"than {percent(thresholds.IDLE_STEPS_SHARE)} of the steps, and {busiest} in {percent(parts[busiest])}; {loss_summary(run)}.",
        fix="Where a router chooses among them, add a loss that balances their load, or noise to its choice, and look at the load by part; "
        "where they belong to other tasks nothing needs to be done.",
        source=_BALANCE,
    )


def _parts_made_alike(run: RunAnalysis) -> Iterator[_Parts]:
    """Go through the lists of modules with the same weights of which one part is trained and was measured in most steps."""
    recorded = run.recorded
    shapes: dict[str, dict[str, dict[str, str]]] = {}
    columns: dict[str, list[int]] = {}
    for index, parameter in enumerate(recorded.parameters):
        for name, part in _lists(parameter.name) if parameter.group >= 0 else ():
            shapes.setdefault(name, {}).setdefault(part, {})[parameter.name[len(part) :]] = parameter.shape
            columns.setdefault(part, []).append(index)
    layers: dict[str, list[int]] = {}
    for index, layer in enumerate(recorded.layers):
        for _, part in _lists(f"{module_of(layer.name)}."):
            layers.setdefault(part, []).append(index)
    stepped = np.isfinite(recorded.weight_norm)
    reached = recorded.parameter_gradient_norm > 0
    ran = np.isfinite(recorded.activation.rms) | (recorded.activation.nonfinite > 0)
    for name, parts in shapes.items():
        first = next(iter(parts.values()))
        if len(parts) < thresholds.FEWEST_EXPERTS or any(other != first for other in parts.values()) or _runs_unseen(run, name):
            continue
        rows = stepped[:, columns[next(iter(parts))]].any(axis=1)
        if rows.sum() < thresholds.CALM_STEPS:
            continue
        trained = {part: float(reached[rows][:, columns[part]].any(axis=1).mean()) for part in parts}
        seen = {part: float(ran[rows][:, layers.get(part, [])].any(axis=1).mean()) for part in parts}
        busiest = max(parts, key=lambda part: trained[part])
        if trained[busiest] >= thresholds.ASKED_OFTEN and seen[busiest] > 0:
            asked = {part: max(trained[part], seen[part]) for part in parts}
            yield _Parts(name, asked, _has_router(run, name, len(parts), layers[busiest]))


def _lists(name: str) -> Iterator[tuple[str, str]]:
    """The lists of modules that a parameter or a layer is in, from the outermost on: the list's name and that of its part."""
    return ((name[: number.start()], name[: number.end()]) for number in _NUMBER.finditer(name))


def _runs_unseen(run: RunAnalysis, name: str) -> bool:
    """Whether something of a list is known to run without gradient, where its signals are not measured."""
    unseen = [gap.subject for gap in run.recorded.gaps if "without gradient inside forwards" in gap.reason]
    return any(f"{subject}.".startswith(f"{name}.") or name.startswith(f"{subject}.") for subject in unseen)


def _has_router(run: RunAnalysis, name: str, parts: int, layers: list[int]) -> bool:
    """Whether a layer with weights that stands beside a list of modules, and comes before them, gives out one number for each of them."""
    recorded = run.recorded
    beside = name.rpartition(".")[0]
    first = min(recorded.layers[index].depth for index in layers)
    return any(
        layer.kind in TRANSFORMING
        and (layer.role, layer.channels) == ("output", parts)
        and layer.depth < first
        and (not beside or layer.name.startswith(f"{beside}."))
        and not layer.name.startswith(f"{name}.")
        for layer in recorded.layers
    )


def _mean_of_others(parts: dict[str, float], busiest: str) -> float:
    return float(np.mean([share for part, share in parts.items() if part != busiest]))
