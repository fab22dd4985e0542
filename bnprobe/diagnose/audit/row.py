"""One row of an audit: a drawback of normalisation as a number for each layer that has it, with a verdict and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: "costs": the drawback is there; "could go": a norm that did little; "fine": measured, and neither; "cannot tell": nothing measured it;
#: "absent": nothing could have it.
Verdict = Literal["costs", "could go", "cannot tell", "fine", "absent"]


@dataclass(frozen=True)
class LayerValue:
    """What was measured of one layer.

    Attributes:
        layer: dotted name.
        value: in the row's unit.
        costs: whether it is beyond the row's limit.
    """

    layer: str
    value: float
    costs: bool


@dataclass(frozen=True)
class AuditRow:
    """One drawback.

    Attributes:
        id: stable identifier.
        title: what it is, in a few words.
        verdict: what the numbers say.
        says: one sentence with the numbers.
        advice: what to do, where it costs or cannot be told; else "".
        formula: what the number is.
        source: where the drawback is described.
        units: of the values.
        value: the worst; NaN without one.
        limit: from where it costs; NaN where there is no single one.
        layers: in order of depth.
    """

    id: str
    title: str
    verdict: Verdict
    says: str
    advice: str
    formula: str
    source: str
    units: str = ""
    value: float = float("nan")
    limit: float = float("nan")
    layers: tuple[LayerValue, ...] = ()
