"""What chosen layers compute in a rerun: how large it is at each step, and how much of it is the same for every input.

A tape has no modules. It has the operations that read weights: what a convolution or a matrix product with a weight gives, before any
activation function, is the layer's output. One at the front, one in the middle and one at the end are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bnprobe.measure.layout import CHANNELS_FIRST, CHANNELS_LAST, Layout
from bnprobe.measure.moments import energies
from bnprobe.observe.probes.operation_kinds import operation_name
from bnprobe.observe.probes.tape import Operation, Slot
from bnprobe.what_if.program import Backward, Item, Program
from bnprobe.what_if.remedy_edits import Built
from bnprobe.what_if.training import State

#: Layers that are looked at.
CHOSEN = 3
_LAYOUTS = {"convolution": CHANNELS_FIRST, "mm": CHANNELS_LAST, "addmm": CHANNELS_LAST, "linear": CHANNELS_LAST}
#: Operations through which a weight goes on its way into such a one.
_PASSING = {"t", "transpose", "permute", "_to_copy", "detach"}


class Layers:
    """The layers that are looked at, and where on the tape they are.

    Args:
        program: the stretch.
        built: models, for the layers' names.
    """

    def __init__(self, program: Program, built: Sequence[Built]) -> None:
        calls = _calls(program)
        weights = list(dict.fromkeys(weight for _, step, weight, _ in calls if step == 0))
        chosen = [weights[place] for place in sorted({round(each) for each in np.linspace(0, len(weights) - 1, CHOSEN)})] if weights else []
        known = {slot: name for one in built for model in one.models for slot, name in model.weight_names()}
        #: Their names, in order of depth.
        self.names = [known.get(weight, f"layer {weights.index(weight)}") for weight in chosen]
        self.steps = program.steps
        #: By place on the tape: step and layer, counted from 0, and the layout of the result.
        self.places: dict[int, tuple[int, int, Layout]] = {}
        seen: set[tuple[int, Slot]] = set()
        for place, step, weight, layout in calls:
            if weight in chosen and (step, weight) not in seen:
                seen.add((step, weight))
                self.places[place] = step, chosen.index(weight), layout


class Activations:
    """Watches one rerun.

    Args:
        layers: what to look at.

    Attributes:
        rms: root mean square of each layer's output, (S, L); NaN where the rerun did not come.
        common: share of its energy that is the same for the whole batch, A / (A + B + W), (S, L).
    """

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self.rms: NDArray[np.float64] = np.full((layers.steps, len(layers.names)), np.nan)
        self.common = self.rms.copy()

    def watch(self, item: Item, state: State) -> None:
        """An item has been executed."""
        place = self._layers.places.get(item.place)
        if place is None or not isinstance(item, Operation) or item.outputs[0] is None:
            return
        step, layer, layout = place
        signal = state.values[item.outputs[0]]
        if signal.dim() < 2 or not signal.numel() or not signal.is_floating_point():
            return
        common, energy = energies(signal, layout)
        self.rms[step, layer] = np.sqrt(energy)
        self.common[step, layer] = common / energy if 0.0 < energy < np.inf else np.nan


def _calls(program: Program) -> list[tuple[int, int, Slot, Layout]]:
    """Return the operations that are layers: place, step counted from 0, slot of the weight, layout of the result."""
    step = program.steps - 1
    steps: dict[int, int] = {}
    for item in reversed(program.items):
        if isinstance(item, Backward) and item.losses:
            step = item.step - program.first_step
        steps[item.place] = step
    weights = {slot: slot for slot, start in program.starts.items() if start.requires_grad and start.dim() > 1}
    calls = []
    for item in program.items:
        if not isinstance(item, Operation):
            continue
        name = operation_name(item.function)
        weight = _weight(item, weights)
        if weight is None:
            continue
        if name in _PASSING and item.outputs[0] is not None:
            weights[item.outputs[0]] = weight
        elif name in _LAYOUTS and item.with_grad:
            calls.append((item.place, steps[item.place], weight, _LAYOUTS[name]))
    return calls


def _weight(operation: Operation, weights: Mapping[Slot, Slot]) -> Slot | None:
    return next((weights[given] for given in reversed(operation.arguments) if type(given) is Slot and given in weights), None)
