"""What trainings are compared by, beside their losses: what the script's evaluations say, and what a step costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.companion import Companion
from bnprobe.observe.compared.held_out import HeldOut
from bnprobe.observe.compared.step_costs import StepCosts
from bnprobe.observe.faults import Faults
from bnprobe.observe.modules.tree import ModuleTree

#: Characters that a text of the run file has room for.
LONGEST = 8000


def written(evaluations: Sequence[dict[str, Any]]) -> str:
    """Return evaluations as JSON that has room in the run file: those that held anything out, and the last of these in any case.

    >>> len(written([{"step": step, "samples": 3} for step in range(1000)])) <= LONGEST
    True
    """
    kept = [one for one in evaluations if one["samples"]] or list(evaluations[-1:])
    while len(text := json.dumps(kept)) > LONGEST:
        kept = kept[::-1][::2][::-1]
    return text


class Compared(Companion):
    """Watches a training that will be compared with others.

    Args:
        tree: the modules.
        faults: where a fault of ours goes.
        set_attribute: takes a name and what was found.
    """

    def __init__(self, tree: ModuleTree, faults: Faults, set_attribute: Callable[[str, str], None]) -> None:
        self._set_attribute = set_attribute
        self._held_out = HeldOut(tree, faults)
        self._costs = StepCosts()

    def attach(self, patches: Patches) -> None:
        """Begin to watch."""
        self._held_out.attach(patches)

    def detach(self) -> None:
        """Watch no more."""
        self._held_out.detach()

    def backward_begins(self, step: int) -> None:
        """An evaluation, if there was one, is over."""
        if self._held_out.is_evaluating:
            self._costs.something_else()
        self._held_out.backward_began(step)

    def step_ended(self, was_measured: bool) -> None:
        """An update was made."""
        if was_measured:
            self._costs.something_else()
        self._costs.step_ended()

    def finish(self, steps: int, ending: Any) -> None:
        """Hand over what was found."""
        self._held_out.end_evaluation(steps)
        self._set_attribute("evaluations", written(self._held_out.evaluations))
        self._set_attribute("step_costs", json.dumps(self._costs.summary()))
