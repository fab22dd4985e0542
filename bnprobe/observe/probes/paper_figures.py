"""What the figures of "Understanding Batch Normalization" show, measured on a live training at chosen steps.

Bjorck, Gomes, Selman, Weinberger 2018, arXiv 1806.02375: tails of weight gradients (Fig 2), gradients of the logits (Fig 6), sign coherence
(Table 1), the noise of the gradient, singular values (section 4). A forward hook is there at those steps alone; it keeps what layers
received until their gradient has come, which autograd keeps as well. The Jacobian is asked for on the live graph just before the script's
own backward, as a curvature is.

Figures 3, 4 and 5 are drawn from line probes and from the channels of the first step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from bnprobe.identity import OwnReference
from bnprobe.measure.gradient_noise import Contributions, contributions
from bnprobe.measure.graph import MOST_NODES, nodes
from bnprobe.measure.host_memory import copied
from bnprobe.measure.sign_coherence import Coherence, sign_coherence
from bnprobe.measure.singular_values import MOST_ROWS, jacobian_of_sample, product, singular_values
from bnprobe.measure.tails import BINS, Tail, tail
from bnprobe.module_parts import buffers
from bnprobe.observe.attaching.module_calls import after_forward
from bnprobe.observe.attaching.optimizers import Optimizer, trained_parameters
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.axes.axes import Axes
from bnprobe.observe.faults import Faults
from bnprobe.observe.probes.taping import is_plain_call
from bnprobe.observe.probes.undisturbed import ScriptHooks, state_kept
from bnprobe.observe.steps.open_step import Number
from bnprobe.originals import Original
from bnprobe.store.writer import RunWriter
from bnprobe.torch_private import ConvNd, holds_numbers, in_backward, plain, scripts_function, user_modes_disabled, version

#: Samples and classes of the picture of logit gradients.
MOST_SAMPLES, MOST_CLASSES = 128, 1000
#: Samples whose Jacobian is taken.
JACOBIANS = 4
#: Sides of a product of weights beyond which its singular values are not asked for.
WIDEST = 4096
#: Numbers of layers whose product is taken, besides all of them.
PRODUCTS = (1, 3, 5)


class _Call(NamedTuple):
    """A call of a layer with weights."""

    module: nn.Module
    signal: torch.Tensor
    version: int
    output: torch.Tensor


class PaperFigures:
    """Measures at the steps it is told to.

    Args:
        wanted: which figures: tails, logits, coherence, noise, jacobian.
        writer: where they go.
        faults: where a fault goes.
        muted: a context in which nothing that runs is measured.
        roots: the models.
    """

    def __init__(
        self,
        wanted: frozenset[str],
        writer: RunWriter,
        faults: Faults,
        muted: Callable[[], AbstractContextManager[None]],
        roots: Callable[[], Sequence[nn.Module]],
    ) -> None:
        self.seconds = 0.0
        #: Above 0 while gradients come that are not those of the training.
        self.gradients_muted = 0
        self._wanted = wanted
        self._writer = writer
        self._faults = faults
        self._muted = muted
        self._roots = roots
        self._hooks = ScriptHooks()
        self._handle: Any = None
        self._is_due = self._next_is_due = False
        self._calls: list[_Call] = []
        self._last_call = -1
        self._coherence: dict[int, tuple[OwnReference[torch.Tensor], Coherence]] = {}
        self._noise: dict[int, tuple[OwnReference[torch.Tensor], Contributions]] = {}
        self._tails: dict[int, tuple[OwnReference[torch.Tensor], Tail]] = {}
        self._singular: list[tuple[str, int, np.ndarray[Any, Any]]] = []
        self._logits: tuple[int, torch.Tensor] | None = None
        #: What a gradient scaler multiplied the loss by, and every gradient with it.
        self._scale = 1.0

    def attach(self, patches: Patches) -> None:
        """Watch the hooks that the script registers, to keep a Jacobian from calling them."""
        if "jacobian" in self._wanted:
            self._hooks.attach(patches)

    def detach(self) -> None:
        """Leave torch alone."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def prepare(self, is_due: bool) -> None:
        """Say whether the step that comes next is measured; the open one may still have an optimizer to come."""
        self._next_is_due = is_due
        self._hooks.begin_step()
        if is_due and self._handle is None:
            self._handle = after_forward(self._hook)

    def begin_step(self) -> None:
        """A step is over and the next one begins."""
        self._is_due, self._next_is_due = self._next_is_due, False
        self._calls.clear()
        if not self._is_due:
            self.detach()

    def before_backward(self, scale: Number | None) -> None:
        """The script goes backward now; its graph is whole.

        Args:
            scale: what the loss was multiplied by; None for 1.
        """
        if not self._is_due or not self._calls:
            return
        began = Original.perf_counter()
        with self._faults.guard("the singular values of a figure"), user_modes_disabled():
            self._scale = 1.0 if scale is None else float(scale)
            if "jacobian" in self._wanted and not self._singular:
                self._take_weights()
                self._take_jacobian()
        self.detach()  # one forward is enough
        self._calls.clear()  # the script may have no update to come, and let its model go
        self.seconds += Original.perf_counter() - began

    def before_update(self, optimizer: Optimizer) -> None:
        """Gradients are ready and weights have not moved."""
        self._calls.clear()
        if not self._is_due or "tails" not in self._wanted:
            return
        began = Original.perf_counter()
        with self._faults.guard("the tails of gradients"), user_modes_disabled():
            for parameter in trained_parameters(optimizer.param_groups):
                gradient = parameter.grad
                if parameter.dim() > 1 and gradient is not None and holds_numbers(gradient) and not gradient.is_complex():
                    found = tail(gradient)
                    if found is not None:
                        self._tails[id(parameter)] = (OwnReference(parameter), found)
        self.seconds += Original.perf_counter() - began

    def deliver(self, axes: Axes, step: int) -> None:
        """Write what was found at a step that has been closed."""
        self._deliver_weights(axes, step)
        for what, sample, values in self._singular:
            columns = {"singular_step": step, "singular_of": what, "singular_sample": sample}
            for value in values:  # one by one: rows with a text are written so
                self._writer.add_rows("singular", 1, {**columns, "singular_value": float(value)})
        self._singular = []
        if self._logits is not None:
            samples, gradient = self._logits
            picture = copied(gradient[:MOST_SAMPLES, :MOST_CLASSES], torch.float64) / self._scale
            self._writer.add_rows(
                "logit",
                picture.size,
                {
                    "logit_step": step,
                    "logit_samples": samples,
                    "logit_sample": np.repeat(np.arange(picture.shape[0]), picture.shape[1]),
                    "logit_class": np.tile(np.arange(picture.shape[1]), picture.shape[0]),
                    "logit_gradient": picture.ravel(),
                },
            )
            self._logits = None

    # -- inside -------------------------------------------------------------------------------------------------------

    def _hook(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Keep what a layer with weights received. Must return None: anything else would replace the output."""
        if not self._is_due and not self._next_is_due:
            return
        if not isinstance(module, nn.Linear | ConvNd) or not torch.is_grad_enabled() or in_backward():
            return
        if not is_plain_call() or not args or not isinstance(args[0], torch.Tensor):
            return
        try:
            with user_modes_disabled():
                if not isinstance(output, torch.Tensor) or not output.requires_grad or not args[0].is_floating_point():
                    return
                if not (holds_numbers(args[0]) and holds_numbers(output)):
                    return
                call = _Call(module, plain(args[0]), version(args[0]), output)
                self._calls.append(call)
                self._last_call = len(self._calls) - 1
                if {"coherence", "logits", "noise"} & self._wanted:
                    output.register_hook(self._gradient_hook(self._last_call, module, call.signal, call.version))  # type: ignore[no-untyped-call]
        except Exception as error:
            self.detach()
            self._faults.report("a figure", error)

    def _gradient_hook(self, place: int, module: nn.Module, signal: torch.Tensor, written: int) -> Callable[[torch.Tensor], None]:
        @torch.utils.hooks.unserializable_hook  # type: ignore[untyped-decorator]
        def hook(gradient: torch.Tensor) -> None:
            if not self._is_due or self.gradients_muted:
                return
            began = Original.perf_counter()
            with self._faults.guard("a figure"), user_modes_disabled():
                if not holds_numbers(gradient):
                    return
                gradient = plain(gradient)
                if "logits" in self._wanted and self._logits is None and place == self._last_call and gradient.dim() == 2:
                    self._logits = (gradient.shape[0], gradient.clone())
                if {"coherence", "noise"} & self._wanted and version(signal) == written:
                    self._add_sums(module, signal, gradient)
            self.seconds += Original.perf_counter() - began

        return hook  # type: ignore[no-any-return]

    def _add_sums(self, module: nn.Module, signal: torch.Tensor, gradient: torch.Tensor) -> None:
        """Measure what samples and places contribute to a weight's gradient, at the first call whose gradient comes."""
        weight = module._parameters.get("weight")
        if weight is None:
            return
        gradient = gradient.to(signal.dtype)
        if "coherence" in self._wanted and id(weight) not in self._coherence:
            found = sign_coherence(module, signal, gradient)
            if found is not None:
                self._coherence[id(weight)] = (OwnReference(weight), found)
        if "noise" in self._wanted and id(weight) not in self._noise:
            made = contributions(module, signal, gradient)
            if made is not None:
                self._noise[id(weight)] = (OwnReference(weight), made)

    def _take_weights(self) -> None:
        """Take the products of linear layers' weights, as far as each takes in what the one before gave out."""
        chain: list[torch.Tensor] = []
        for call in self._calls:
            if not isinstance(call.module, nn.Linear):
                continue
            weight = call.module._parameters.get("weight")
            if weight is None:
                break  # one that is computed: to look at it is to compute it
            if chain and weight.shape[1] != chain[-1].shape[0]:
                break
            chain.append(weight)
        if not chain or max(max(weight.shape) for weight in chain) > WIDEST:
            return
        for count in dict.fromkeys([*(one for one in PRODUCTS if one < len(chain)), len(chain)]):
            widths = "-".join(str(width) for width in (chain[0].shape[1], *(weight.shape[0] for weight in chain[:count])))
            name = f"{f'product of {count} weights' if count > 1 else 'the first weight'}, {widths}"
            self._take_singular_values(name, -1, product(chain[:count]))

    def _take_jacobian(self) -> None:
        first, last = self._calls[0].output, self._calls[-1].output
        if reason := self._obstacle(first, last):
            self._writer.add_coverage("a Jacobian", reason)
            return
        held = [buffer for root in self._roots() for buffer in buffers(root)]
        with self._muted(), self._hooks.silenced(), state_kept(held):
            for sample in range(min(JACOBIANS, len(last))):
                jacobian = jacobian_of_sample(last, first, sample)
                if jacobian is None:
                    self._writer.add_coverage(
                        "a Jacobian", "the output of the first layer is not behind that of the last: several networks"
                    )
                    return
                self._take_singular_values("Jacobian of the outputs by the first layer's output", sample, jacobian)

    def _take_singular_values(self, name: str, sample: int, matrix: torch.Tensor) -> None:
        if matrix.isfinite().all():
            self._singular.append((name, sample, copied(singular_values(matrix))))
        else:
            self._writer.add_coverage("singular values of a figure", "a matrix has values that are not finite, and so no singular values")

    def _obstacle(self, first: torch.Tensor, last: torch.Tensor) -> str:
        """Why no Jacobian can be taken; "" where one can."""
        if first is last:
            return "a single convolution or linear layer was called"
        if last.dim() != 2 or last.shape[1] > MOST_ROWS or first.shape[0] != last.shape[0]:
            return f"the last layer gives {tuple(last.shape)}: a row a sample and up to {MOST_ROWS} outputs are needed"
        behind = list(nodes([last], MOST_NODES + 1))
        if len(behind) > MOST_NODES:
            return f"the graph of the outputs has more than {MOST_NODES} operations"
        if any(node.name().startswith("CheckpointFunctionBackward") for node in behind):
            return "a checkpoint with use_reentrant=True gives no gradient by what it took in"
        if self._hooks.has_checkpointed or any(map(scripts_function, behind)):
            return "the backward runs code of the script (an autograd function, a checkpoint), which would see that it runs again"
        return "the script packs what its backward needs, and may unpack it once only" if self._hooks.has_packed else ""

    def _deliver_weights(self, axes: Axes, step: int) -> None:
        weights = {key: weight for key, (weight, _) in {**self._coherence, **self._noise, **self._tails}.items()}
        row: dict[str, Any] = {name: [np.nan] * self._writer.parameter_count for name in _BY_WEIGHT}
        for key, weight in weights.items():
            parameter = weight()
            place = None if parameter is None else axes.parameter(parameter)
            if place is None:
                continue
            if key in self._coherence:
                one = self._coherence[key][1]
                row["sign_coherence"][place] = one.summed / one.absolute if one.absolute > 0 else np.nan
            if key in self._noise:
                made = self._noise[key][1]
                square = self._scale**2
                for name, value in zip(_OF_NOISE, (made.noise / square, made.samples, made.together / square), strict=True):
                    row[name][place] = value
            if key in self._tails:
                found = self._tails[key][1]
                numbers = (found.kurtosis, found.exponent, found.low, found.high, found.rms, found.largest)
                for name, value in zip(_OF_TAILS, numbers, strict=True):
                    row[name][place] = value
                columns = {"bin_step": step, "bin_parameter": place, "bin_place": np.arange(BINS), "bin_count": copied(found.counts)}
                self._writer.add_rows("bin", BINS, columns)
        if weights:
            self._writer.append_figure({"figure": step, **row})
        for found_of in (self._coherence, self._noise, self._tails):
            found_of.clear()


_OF_NOISE = ("gradient_noise", "gradient_noise_samples", "gradient_noise_square")
_OF_TAILS = (
    "gradient_kurtosis",
    "gradient_tail_exponent",
    "gradient_tail_low",
    "gradient_tail_high",
    "gradient_rms",
    "gradient_largest",
)
_BY_WEIGHT = ("sign_coherence", *_OF_NOISE, *_OF_TAILS)
