"""The evaluations that a script makes between its steps and after the last, and what they say.

An evaluation is whatever a model in evaluation mode, or one that runs without gradients, is asked between two backward calls. Its numbers
come from the losses that the script computes there; where it computes none, from the classes that it compares with labels. Batches whose
samples were trained on are left out: nothing of the training is ever counted as held out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.observe.attaching.module_calls import before_forward
from bnprobe.observe.attaching.patches import Compilation, Patches
from bnprobe.observe.compared import loss_calls
from bnprobe.observe.compared.comparisons import Comparisons
from bnprobe.observe.compared.loss_calls import OF_LABELS, LossCall
from bnprobe.observe.compared.samples import TrainedOn, fingerprints
from bnprobe.observe.compared.tally import Tally, right_bits, right_labels
from bnprobe.observe.faults import Faults
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.torch_private import holds_numbers, is_traced, is_transformed, user_modes_disabled

#: A batch of which a larger share was trained on is no held-out batch.
KNOWN_SHARE = 0.5
LOSSES, COMPARED = "losses", "comparisons"


class HeldOut:
    """Watches evaluations.

    Args:
        tree: the modules.
        faults: where a fault of ours goes.
    """

    def __init__(self, tree: ModuleTree, faults: Faults) -> None:
        self.evaluations: list[dict[str, Any]] = []
        #: Whether a model was evaluated since the last backward.
        self.is_evaluating = False
        self._tree = tree
        self._faults = faults
        self._comparisons = Comparisons(self._belongs, self._on_compared)
        self._trained_on = TrainedOn()
        self._handle: Any = None
        self._is_evaluation = self._is_in_evaluation_mode = False
        self._awaits_batch = True
        self._is_known = False  # the batch under way was trained on
        self._training_kind = ""
        self._has_left_out = False
        self._samples: set[int] = set()
        self._earlier_samples: set[int] = set()
        self._sure: dict[str, Tally] = {}
        self._doubtful: dict[str, Tally] = {}  # with gradients: training in evaluation mode looks the same until its backward
        self._compared = Tally()
        self._is_counting = False  # what is called meanwhile is called by us

    def attach(self, patches: Patches) -> None:
        """Begin to watch."""
        self._handle = before_forward(self._before_forward)
        loss_calls.attach(patches, self._on_loss)
        self._comparisons.attach(patches)

    def detach(self) -> None:
        """Watch no more; the replacements are the patches' to take back."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def backward_began(self, steps: int) -> None:
        """The training goes on; what was evaluated since the last backward is one evaluation.

        Args:
            steps: updates made so far.
        """
        if self._is_evaluation and self._is_in_evaluation_mode:
            self._doubtful.clear()  # it was this backward's loss
        self.end_evaluation(steps)
        self._is_evaluation = self.is_evaluating = False

    def end_evaluation(self, steps: int) -> None:
        """Sum up what was evaluated.

        Args:
            steps: updates made so far.
        """
        for kind, tally in self._doubtful.items():
            self._sure.setdefault(kind, Tally()).join(tally)
        if self._sure or self._compared.labels or self._has_left_out:
            self.evaluations.append(self._summed_up(steps))
        self._sure, self._doubtful, self._compared, self._has_left_out = {}, {}, Tally(), False
        self._earlier_samples, self._samples = self._samples or self._earlier_samples, set()
        self._comparisons.forget()

    def _summed_up(self, steps: int) -> dict[str, Any]:
        kind = self._training_kind
        if kind not in self._sure:
            kind = max(self._sure, key=lambda one: self._sure[one].weight, default="")
        of_losses = self._sure.get(kind, Tally())
        tally = of_losses if of_losses.weight else self._compared
        again = len(self._samples & self._earlier_samples)
        return {
            "step": steps,
            "loss": tally.mean,
            "accuracy": tally.accuracy if tally.labels else self._compared.accuracy,
            "samples": tally.weight or tally.labels,
            "kind": kind,
            "source": LOSSES if of_losses.weight else COMPARED if self._compared.labels else "",
            "left_out": self._has_left_out,
            "draws_anew": bool(self._earlier_samples) and 2 * again < len(self._samples),
        }

    # -- what the script does -----------------------------------------------------------------------------------------

    def _before_forward(self, module: nn.Module, args: Any) -> None:
        """Take note of the mode that a model runs in, and of its batch. Must return None."""
        if torch.compiler.is_compiling() or is_traced() or is_transformed():
            return
        if Compilation.in_use:  # looking would make compiled code compile anew
            self.detach()
            return
        try:
            root = self._tree.root(module)
            if not self._tree.has_parameters(root):
                return  # a loss, a transform of the data
            self._is_in_evaluation_mode = not root.training
            self._is_evaluation = self._is_in_evaluation_mode or not torch.is_grad_enabled()
            self.is_evaluating |= self._is_evaluation
            batch = next((one for one in args if isinstance(one, torch.Tensor)), None)
            if self._awaits_batch and batch is not None and holds_numbers(batch):
                self._awaits_batch = False
                with user_modes_disabled():
                    self._take_batch(batch)
        except Exception as error:
            self.detach()
            self._faults.report("batches of evaluations", error)

    def _take_batch(self, batch: torch.Tensor) -> None:
        if not self._is_evaluation:
            self._trained_on.learn(batch)
            return
        prints = fingerprints(batch)
        self._is_known = self._trained_on.share(prints) > KNOWN_SHARE
        if not self._is_known:
            self._samples.update(prints)

    def _belongs(self, output: torch.Tensor) -> bool:
        """Whether what is made of an output now belongs to an evaluation; without a hook, whatever has no gradient does."""
        if self._is_counting:
            return False
        if self._handle is None:
            return not torch.is_grad_enabled() and not output.requires_grad
        return self._is_evaluation and (self._is_in_evaluation_mode or not output.requires_grad)

    @contextmanager
    def _counting(self) -> Iterator[None]:
        self._is_counting = True
        try:
            with user_modes_disabled(), torch.no_grad():
                yield
        finally:
            self._is_counting = False

    def _on_loss(self, call: LossCall) -> None:
        if self._is_counting:
            return
        try:
            if not self._belongs(call.output):
                self._awaits_batch = True
                self._training_kind = call.kind
                return
            with self._counting():
                self._take_loss(call)
        except Exception as error:
            self._faults.report("losses of evaluations", error)

    def _take_loss(self, call: LossCall) -> None:
        self._awaits_batch = True
        weight = call.weight()
        if not weight:
            return
        if self._is_known:
            self._has_left_out = True
            return
        right = labels = 0
        if call.has_labels:
            right, labels = right_labels(call.output, call.target, call.ignored)
        elif call.threshold is not None:
            right, labels = right_bits(call.output, call.target, call.threshold)
        where = self._doubtful if call.result.requires_grad else self._sure
        where.setdefault(call.kind, Tally()).add(call.mean(weight), weight, right, labels)

    def _on_compared(self, output: torch.Tensor, labels: torch.Tensor, right: int) -> None:
        try:
            self._awaits_batch = True
            if self._is_known:
                self._has_left_out = True
                return
            with self._counting():
                loss, weight = self._training_loss(output, labels)
                self._compared.add(loss, weight, right, labels.numel())
        except Exception as error:
            self._faults.report("labels of evaluations", error)

    def _training_loss(self, output: torch.Tensor, labels: torch.Tensor) -> tuple[float, int]:
        """The loss that is trained, of outputs and labels that the script has only compared; (0, 0) where it is none of labels.

        A cross entropy of log-probabilities is the negative log-likelihood: the softmax of their exponentials is what they were.
        """
        is_labelled = self._training_kind in OF_LABELS and int(labels.min()) >= 0 and int(labels.max()) < output.shape[1]
        return (float(F.cross_entropy(output, labels.long())), labels.numel()) if is_labelled else (0.0, 0)
