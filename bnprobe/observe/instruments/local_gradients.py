"""The gradient of this rank's own samples, before DistributedDataParallel averages it with those of the other ranks.

An all-reduce spreads one rank's NaN to all of them. A hook on a parameter sees its gradient before that: where it is not finite on one rank
and finite on the others, that rank began it. At measured steps all parameters are looked at, at the others a few small ones that lie
evenly along the network: what arises in a backward runs on to the layers before. The hooks are there from right before a backward until
the update, and hold no tensor.
"""

from __future__ import annotations

import json
import math
import os
import weakref
from collections.abc import Callable, Sequence

import torch

from bnprobe.identity import OwnReference
from bnprobe.measure.norms import norms
from bnprobe.observe.attaching.optimizers import trained_parameters
from bnprobe.observe.instruments.instrument import Backward, Instrument, Reading, Surroundings, Update
from bnprobe.observe.signals.records import Tap
from bnprobe.observe.steps.open_step import OpenStep
from bnprobe.processes import is_one_of_many
from bnprobe.torch_private import answers_itself, holds_numbers, user_modes_disabled

#: The attribute of the run file that says where the first one was that is not finite.
ATTRIBUTE = "local_nonfinite"
#: Parameters that are looked at in steps that are not measured.
SENTINELS = 4


class LocalGradients(Instrument):
    """Measures gradients as they reach their parameters, where there are several ranks.

    Args:
        around: what is there to look at.
    """

    def __init__(self, around: Surroundings) -> None:
        self._axes = around.axes
        self._writer = around.writer
        self._optimizers = around.optimizers
        self._faults = around.faults
        self._is_aside = around.is_aside
        #: One process is not asked at all: it has nobody to average with.
        self.every_step = self._is_asked = is_one_of_many(os.environ)
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []
        #: Norms by id of the parameter; None where no gradient came, or one in parts.
        self._found: dict[int, torch.Tensor | None] = {}
        self._sentinels: list[weakref.ref[torch.Tensor]] = []
        self._is_told = False

    def before_backward(self, step: OpenStep, backward: Backward) -> None:
        """Attach, to the first backward of a step: what further ones add cannot be told from a sum."""
        self._detach()
        if not self._is_asked or not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return
        if step.observed:
            parameters = self._parameters()
            self._choose_sentinels(parameters)
        else:
            parameters = [parameter for reference in self._sentinels if (parameter := reference()) is not None]
        if step.micro_steps > 1:
            self._found = {}
            return
        self._found = {}
        self._hooks = [_hooked(parameter, self._hook(id(parameter))) for parameter in parameters]

    def before_update(self, step: OpenStep, update: Update) -> None:
        """Detach, and note the first gradient that is not finite where that is at hand."""
        self._detach()
        found = _known(self._found)
        if self._is_told or not found or any(not norm.is_cpu for norm in found.values()):
            return
        bad = {key for key, norm in found.items() if not math.isfinite(norm.item())}
        if bad:
            self._is_told = True
            dirty = {self._axes.layer_of(key) for key in bad}
            clean = {self._axes.layer_of(key) for key in found} - dirty
            in_order = [name for name in self._axes.layer_names if name in dirty | clean]
            deepest = max((place for place, name in enumerate(in_order) if name in dirty), default=-1)
            behind = in_order[deepest + 1] if 0 <= deepest < len(in_order) - 1 else ""
            first = in_order[deepest] if deepest >= 0 else ""
            place = {"step": step.number, "layer": first, "clean": behind, "is_exact": step.observed}
            self._writer.set_attribute(ATTRIBUTE, json.dumps(place))

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Return the norms of a measured step of one backward."""
        self._detach()
        found, self._found = _known(self._found), {}
        if not step.observed or not found or step.micro_steps > 1:
            return []
        scale = step.scale if step.scale is not None else 1.0
        device = next(iter(found.values())).device
        norms_here = torch.cat([norm.to(device) for norm in found.values()])
        values = torch.nan_to_num(norms_here, nan=torch.inf, posinf=torch.inf) / scale
        places = [self._axes.parameter_place(key) for key in found]
        return [("parameter_local_gradient_norm", Reading(values, places))]

    def _hook(self, key: int) -> Callable[[torch.Tensor | None], None]:
        @torch.utils.hooks.unserializable_hook  # type: ignore[untyped-decorator]
        def hook(gradient: torch.Tensor | None) -> None:
            self._take(gradient, key)

        return hook  # type: ignore[no-any-return]

    def _take(self, gradient: torch.Tensor | None, key: int) -> None:
        if self._is_aside():
            return
        try:
            with user_modes_disabled():
                # A backward that enters another one hands a gradient over in parts: no norm of one of them is the whole's.
                self._found[key] = norms([gradient]) if key not in self._found and _has_norm(gradient) else None
        except Exception as error:
            self._faults.report("gradients before ranks are averaged", error)

    def _parameters(self) -> list[torch.Tensor]:
        groups = [group for optimizer in self._optimizers() for group in optimizer.param_groups]
        return [one for one in trained_parameters(groups) if _is_hooked(one)]

    def _choose_sentinels(self, parameters: list[torch.Tensor]) -> None:
        chosen = [parameters[len(parameters) * place // SENTINELS :][: max(len(parameters) // SENTINELS, 1)] for place in range(SENTINELS)]
        smallest = {id(one): one for part in chosen if part and (one := min(part[:4], key=lambda parameter: parameter.numel())) is not None}
        self._sentinels = [OwnReference(one) for one in smallest.values()]

    def _detach(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []


def _hooked(parameter: torch.Tensor, hook: Callable[[torch.Tensor | None], None]) -> torch.utils.hooks.RemovableHandle:
    handle: torch.utils.hooks.RemovableHandle = parameter.register_hook(hook)  # type: ignore[no-untyped-call]
    return handle


def _known(found: dict[int, torch.Tensor | None]) -> dict[int, torch.Tensor]:
    return {key: norm for key, norm in found.items() if norm is not None}


def _has_norm(gradient: torch.Tensor | None) -> bool:
    return gradient is not None and (gradient.is_sparse or holds_numbers(gradient))


def _is_hooked(parameter: torch.Tensor) -> bool:
    """Whether a hook would see the gradient: that of a sharded parameter never comes to it whole."""
    return parameter.is_leaf and parameter.requires_grad and not hasattr(parameter, "to_local") and not answers_itself(parameter)
