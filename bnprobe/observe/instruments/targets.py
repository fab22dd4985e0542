"""What a loss compares the network with: how targets differ from each other, and how far the output is from them.

A squared or absolute error keeps its output and target for the backward, and a cross-entropy its labels. From them follows what a constant
prediction would score, which no value of the loss tells by itself; and whether batches hold one class after another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure.fused import class_counts
from bnprobe.measure.host_memory import copied
from bnprobe.measure.unchecked import unchecked
from bnprobe.observe.instruments import answers
from bnprobe.observe.instruments.graph import kind, loss_nodes, saved
from bnprobe.observe.instruments.instrument import Backward, Instrument, Reading, Surroundings
from bnprobe.observe.instruments.reach import beyond, difference_of, range_of, written_out
from bnprobe.observe.signals.records import Tap
from bnprobe.observe.steps.open_step import OpenStep

_ERRORS = ("MseLoss", "SmoothL1Loss", "Huber")
_LABELLED = ("Nll",)
#: Numbers of a target that are looked at.
MOST_NUMBERS = 2**20


class Targets(Instrument):
    """Looks at the largest comparison of output and target in the graph of a measured step's losses.

    Args:
        around: what is there to look at.
    """

    def __init__(self, around: Surroundings) -> None:
        self._found: dict[str, torch.Tensor | float] = {}
        self._judged = 0

    def before_backward(self, step: OpenStep, backward: Backward) -> None:
        """Look at what the losses keep for their backward; of several micro-steps at the first."""
        if not step.observed or step.micro_steps > 1:
            return
        for node in loss_nodes(backward.losses):
            if kind(node).startswith(_ERRORS):
                if "target_variance" not in self._found:
                    self._found |= compared(saved(node, "self"), saved(node, "target"))
                self._reach(node, saved(node, "target"))
            elif kind(node).startswith(_LABELLED):
                self._label(node)
            elif kind(node).startswith("BinaryCrossEntropy"):
                self._widen(saved(node, "target"))
                self._judge(answers.of_yes_and_no(node))
            elif (difference := difference_of(node)) is not None:
                self._reach(difference, written_out(node))

    def _label(self, node: Any) -> None:
        """Count the labels of a cross-entropy, the first of several, and hold them against the outputs."""
        labels, ignored = saved(node, "target"), getattr(node, "_saved_ignore_index", None)
        counted = classes(labels, ignored)
        if "target_classes" not in self._found:
            self._found |= {name: value for name, value in counted.items() if name != "target_single_labels"}
        self._judge(answers.of_labels(node, labels, ignored, counted))

    def _judge(self, found: Mapping[str, torch.Tensor | float]) -> None:
        """Keep what outputs score beside a constant, if the loss has one such part: of several none is all of it."""
        self._judged += 1
        for name in answers.NAMES:
            self._found.pop(name, None)
        if self._judged == 1:
            self._found |= found

    def _reach(self, comparison: Any, target: torch.Tensor | None) -> None:
        """Compare the targets of an error with what the activation right before it can give."""
        if "unreachable_error" in self._found or target is None or not 0 < target.numel() <= MOST_NUMBERS:
            return
        if target.is_floating_point() and (ends := range_of(comparison)) is not None:
            self._found |= beyond(target, ends)

    def _widen(self, target: torch.Tensor | None) -> None:
        """Take the ends of a target into the range of all."""
        if target is None or not 0 < target.numel() <= MOST_NUMBERS:
            return
        low, high = torch.aminmax(target.double())
        self._found["target_smallest"] = torch.minimum(low, torch.as_tensor(self._found.get("target_smallest", low)))
        self._found["target_largest"] = torch.maximum(high, torch.as_tensor(self._found.get("target_largest", high)))

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Return what was found."""
        found, self._found = self._found, {}
        self._judged = 0
        return [(name, Reading([value] if isinstance(value, float) else value.reshape(1))) for name, value in found.items()]


@torch.no_grad()
def compared(output: torch.Tensor | None, target: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Compare an output with its target.

    Args:
        output: (N, ...).
        target: of the same shape.

    Returns:
        By name of the schema; nothing for fewer than two samples, or where one is not at hand.
    """
    if output is None or target is None or output.shape != target.shape or not output.dim() or output.shape[0] < 2:
        return {}
    if not target.is_floating_point() or target.numel() > MOST_NUMBERS or target.layout is not torch.strided or not target.stride(0):
        return {}  # a target that was spread over the samples is none of theirs
    output, target = output.double(), target.double()
    return {
        "target_rms": target.square().mean().sqrt(),
        "target_variance": target.var(0).mean(),
        "output_variance": output.var(0).mean(),
        "prediction_error": (output - target).square().mean(),
    }


def classes(labels: torch.Tensor | None, ignored: object) -> Mapping[str, torch.Tensor | float]:
    """Count the classes among labels.

    Args:
        labels: of any shape, whole numbers.
        ignored: the label that does not count, if any.

    Returns:
        By name of the schema; entropy and class mean nothing where no label counts.
    """
    if labels is None or not 0 < labels.numel() <= MOST_NUMBERS or labels.is_floating_point():
        return {}
    if isinstance(ignored, int) and ignored >= 2**63:
        ignored -= 2**64  # torch says -100 as an unsigned number
    if (by_class := class_counts(labels, ignored if isinstance(ignored, int) else None)) is not None:
        counts, frequent = by_class
        return _of_counts(counts.tolist(), float(frequent))
    with torch.no_grad():
        if labels.is_cpu and labels.layout is torch.strided and (found := _classes_at_hand(copied(labels).reshape(-1), ignored)):
            return found
        return _classes_elsewhere(labels, ignored)


def _classes_elsewhere(labels: torch.Tensor, ignored: object) -> dict[str, torch.Tensor]:
    """The same without waiting for an accelerator."""
    counted = labels.reshape(-1).long()
    is_counted = torch.ones_like(counted, dtype=torch.bool)
    if isinstance(ignored, int):
        is_counted = counted != ignored
    number = is_counted.sum().double()
    # In order, those that do not count last; what waits for an accelerator is left out.
    in_order = torch.where(is_counted, counted, torch.iinfo(torch.int64).max).sort().values
    alike = (torch.searchsorted(in_order, in_order, right=True) - torch.searchsorted(in_order, in_order)).double()
    place = torch.arange(counted.numel(), device=counted.device)
    weight = (place < number).double()
    return {
        "target_labels": number,
        "target_classes": (weight / alike).sum(),
        "target_single_labels": (weight * (alike == 1)).sum(),
        "target_class": in_order[(alike * weight).argmax()].double(),
        "target_entropy": -(weight * (alike / number).log()).sum() / number,
    }


@unchecked
def _classes_at_hand(labels: NDArray[Any], ignored: object) -> dict[str, float]:
    """The same of numbers on the host: numpy takes a fraction of what a dozen operations of torch do. Nothing where no label counts."""
    in_order = np.sort(labels[labels != ignored] if isinstance(ignored, int) else labels)
    if not in_order.size:
        return {}
    begins = np.flatnonzero(np.concatenate(([True], in_order[1:] != in_order[:-1])))
    counts = np.diff(begins, append=in_order.size)
    return _of_counts(counts.tolist(), float(in_order[begins[counts.argmax()]]))


def _of_counts(counts: Sequence[int], frequent: float) -> dict[str, float]:
    """Return what is told of classes, from how many labels each has, in order, and the most frequent one."""
    number = sum(counts)
    return {
        "target_labels": float(number),
        "target_classes": float(len(counts)),
        "target_single_labels": float(sum(count == 1 for count in counts)),
        "target_class": frequent,
        "target_entropy": -sum([count / number * math.log(count / number) for count in counts]),
    }
