"""By which statistics batch norm normalises: in an evaluation, and where one module is called several times in a forward."""

from __future__ import annotations

import functools
import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.optimizer import Optimizer

from bnprobe.interventions.intervention import Handler, Intervention, argument
from bnprobe.observe.attaching.patches import Patches
from bnprobe.torch_private import BatchNormBase

#: Batches of the training over which running statistics are computed anew.
_BATCHES = 20


class BatchStatistics(Intervention):
    """The intervention ``batch-statistics``: running statistics are used by nobody."""

    what = "calls of batch norm in evaluation mode"
    nothing = "no batch norm is called in evaluation mode with more than one value a channel"
    by_step = None

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._has_norm = self._is_trained_in_evaluation = False

    def refusal(self) -> str:
        """Say why nothing was changed: evaluation mode in training is another fault, which the statistics of the batch hide."""
        return "batch norm is in evaluation mode while it is trained" if self._is_trained_in_evaluation else super().refusal()

    def is_ruled_out(self) -> bool:
        """Whether there is no batch norm."""
        return not self._has_norm

    def calls(self) -> Mapping[str, Handler]:
        """Stand in for batch norm."""
        return {"batch_norm": self._by_batch}

    def _by_batch(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        self._has_norm = True
        values: torch.Tensor = argument(args, kwargs, 0, "input")
        if argument(args, kwargs, 5, "training", False) or values.numel() <= values.shape[1]:
            result: torch.Tensor = func(*args, **kwargs)
            return result
        self.touched[func.__name__] += 1
        weight, bias = argument(args, kwargs, 3, "weight"), argument(args, kwargs, 4, "bias")
        result = F.batch_norm(values, None, None, weight, bias, True, 0.0, argument(args, kwargs, 7, "eps", 1e-5))
        if result.requires_grad and (weight is None or weight.requires_grad):
            result.register_hook(self._trained)  # type: ignore[no-untyped-call]
        return result

    def _trained(self, gradient: torch.Tensor) -> None:
        """A gradient comes back through a norm whose scale is trained."""
        self._is_trained_in_evaluation = True


class FreshStatistics(Intervention):
    """The intervention ``fresh-statistics``: what ``torch.optim.swa_utils.update_bn`` does, by the last batches that were trained on.

    A batch norm that the script keeps in evaluation mode while it trains is left alone.
    """

    what = "evaluations before which running statistics were computed anew"
    nothing = "no network with batch norm is called in evaluation mode after it was trained"
    by_step = None

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        #: Of each outermost module: arguments of its last calls in a training, and which of its parts were in training mode in the last.
        self._calls: weakref.WeakKeyDictionary[nn.Module, deque[tuple[tuple[Any, ...], dict[str, Any]]]] = weakref.WeakKeyDictionary()
        self._in_training: weakref.WeakKeyDictionary[nn.Module, set[int]] = weakref.WeakKeyDictionary()
        self._is_inside = False
        self._fresh: weakref.WeakSet[nn.Module] = weakref.WeakSet()

    def attach(self, patches: Patches) -> None:
        """Stand before the calls of modules."""
        patches.replace(nn.Module, "__call__", self._around_call)

    def _around_call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def __call__(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if self._is_inside:
                return original(module, *args, **kwargs)
            self._is_inside = True
            try:
                self._before_call(module, args, kwargs)
                return original(module, *args, **kwargs)
            finally:
                self._is_inside = False

        return __call__

    def _before_call(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keep the batch of a training, and use those that were kept before an evaluation."""
        if module.training and torch.is_grad_enabled():
            self._calls.setdefault(module, deque(maxlen=_BATCHES)).append((args, kwargs))
            self._in_training[module] = {id(one) for one in module.modules() if one.training}
            self._fresh.discard(module)
        elif not module.training and module in self._calls and module not in self._fresh:
            self._fresh.add(module)
            self._compute_anew(module)

    @torch.no_grad()
    def _compute_anew(self, model: nn.Module) -> None:
        in_training = self._in_training[model]
        norms = [one for one in model.modules() if isinstance(one, BatchNormBase) and one.track_running_stats and id(one) in in_training]
        if not norms:
            return
        modes = {one: one.training for one in model.modules()}
        momenta = [one.momentum for one in norms]
        try:
            with torch.random.fork_rng(devices=[]):
                for module in modes:
                    module.training = id(module) in in_training
                for norm in norms:
                    norm.reset_running_stats()
                    norm.momentum = None  # a plain average
                for args, kwargs in self._calls[model]:
                    model(*args, **kwargs)
            self.touched[type(model).__name__] += 1
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
            for module, mode in modes.items():
                module.training = mode


class NormByCall(Intervention):
    """The intervention ``norm-by-call``: the second call of a batch norm in a forward has running statistics that are its own.

    Its scale and shift stay shared. Before each call the buffers of its place are put into the module, where they stay until the next one.
    """

    what = "calls of a batch norm that another signal of the same forward had used"
    nothing = "no batch norm is called more than once in a forward"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._were_loaded = False
        self._buffers: weakref.WeakKeyDictionary[nn.Module, list[tuple[torch.Tensor, torch.Tensor]]] = weakref.WeakKeyDictionary()
        self._called: Counter[int] = Counter()
        self._in_step: Counter[int] = Counter()
        self._is_shared = False
        self._depth = 0

    def is_ruled_out(self) -> bool:
        """Whether no batch norm is called twice in a step, be it in two forwards."""
        return not self._is_shared and not self._were_loaded

    def after_step(self, optimizer: Optimizer) -> None:
        """Calls are counted anew."""
        self._in_step.clear()

    def before_forward(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Put the statistics of this call into the module."""
        if self._depth == 0:
            self._called.clear()
        self._depth += 1
        if not isinstance(module, BatchNormBase) or module.running_mean is None or module.running_var is None:
            return
        self._in_step[id(module)] += 1
        self._is_shared |= self._in_step[id(module)] > 1
        place = self._called[id(module)]
        self._called[id(module)] += 1
        own = self._buffers.setdefault(module, [(module.running_mean, module.running_var)])
        if place == len(own):
            own.append((torch.zeros_like(module.running_mean), torch.ones_like(module.running_var)))
        if place:
            self.touched[type(module).__name__] += 1
        like = module.running_mean  # the script may have moved the module, or made it of another precision
        own[place] = (own[place][0].to(like), own[place][1].to(like))
        module.running_mean, module.running_var = own[place]

    def attach(self, patches: Patches) -> None:
        """Stand before what loads weights."""
        patches.replace(nn.Module, "load_state_dict", self._around_load)

    def _around_load(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_state_dict(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            self._were_loaded |= any(len(self._buffers.get(one, ())) > 1 for one in module.modules())
            return original(module, *args, **kwargs)

        return load_state_dict

    def refusal(self) -> str:
        """Say why nothing was changed."""
        if self._were_loaded:
            return "the script loads weights into a batch norm that is called more than once, and a state_dict keeps statistics of one call"
        return super().refusal()

    def after_forward(self, module: nn.Module) -> None:
        """A call has ended."""
        self._depth -= 1
