"""What the graph of a loss tells, looked at where every channel is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from bnprobe.observe.instruments.instrument import Backward, Instrument, Reading, Surroundings
from bnprobe.observe.instruments.loss_form import (
    compares_one_class,
    is_cut_off,
    pairs_all_with_all,
    rectifies_logits,
    softmaxes_over_samples,
    takes_probabilities_for_logarithms,
    trivial_softmaxes,
)
from bnprobe.observe.instruments.loss_graph import applies_softmax_twice, half_results
from bnprobe.observe.instruments.mixing import mixes_samples
from bnprobe.observe.signals.records import Tap
from bnprobe.observe.steps.open_step import OpenStep

#: What is asked of the graph, by name of the schema; None is no answer.
_QUESTIONS: dict[str, Callable[[list[torch.Tensor]], int | None]] = {
    "half_results": half_results,
    "softmax_twice": applies_softmax_twice,
    "loss_cut_off": is_cut_off,
    "loss_pairs_all": pairs_all_with_all,
    "loss_rectified": rectifies_logits,
    "loss_of_probabilities": takes_probabilities_for_logarithms,
    "loss_of_one_class": compares_one_class,
    "softmax_trivial": trivial_softmaxes,
    "softmax_over_samples": softmaxes_over_samples,
    "samples_mixed": mixes_samples,
}


class LossChecks(Instrument):
    """Asks what the graph of the losses shows exactly; of several backward calls in a step the largest answer counts.

    Args:
        around: what is there to look at.
    """

    def __init__(self, around: Surroundings) -> None:
        self._schedule = around.schedule
        self._found: dict[str, int] = {}

    def before_backward(self, step: OpenStep, backward: Backward) -> None:
        """Look at the graph while it is whole."""
        if not self._schedule.is_snapshot(step.number):
            return
        for name, question in _QUESTIONS.items():
            if (answer := question(backward.losses)) is not None:
                self._found[name] = (
                    max(int(answer), self._found.get(name, 0)) if name != "half_results" else answer + self._found.get(name, 0)
                )

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Return the answers."""
        found, self._found = self._found, {}
        return [(name, Reading([float(value)])) for name, value in found.items()]
