"""Softmaxes over the dimension that was meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F

from bnprobe.interventions.intervention import Handler, Intervention, argument, with_argument


class OverClasses(Intervention):
    """The intervention ``class-softmax``."""

    what = "softmaxes over the first dimension"
    nothing = "no softmax is taken over the first dimension"

    def calls(self) -> Mapping[str, Handler]:
        """Stand before every softmax."""
        return {"softmax": self._over_last, "log_softmax": self._over_last}

    def _over_last(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        scores, dim = argument(args, kwargs, 0, "input"), argument(args, kwargs, 1, "dim")
        if scores.dim() > 1 and dim in (0, -scores.dim(), None):
            self.touched[func.__name__] += 1
            args, kwargs = with_argument(args, kwargs, 1, "dim", -1)
        return func(*args, **kwargs)


class NotOverOne(Intervention):
    """The intervention ``two-classes``."""

    what = "softmaxes and cross entropies over one element"
    nothing = "no softmax and no cross entropy is over one element"

    def calls(self) -> Mapping[str, Handler]:
        """Stand before softmaxes and the loss that holds one."""
        return {"softmax": self._over_more, "log_softmax": self._over_more, "cross_entropy": self._of_two}

    def _over_more(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Of an output for each sample, or for each place of its channel, a sigmoid was meant; of scores, one over the sequence."""
        scores, dim = argument(args, kwargs, 0, "input"), argument(args, kwargs, 1, "dim")
        if dim is None or scores.dim() < 2 or scores.shape[dim] != 1:
            return func(*args, **kwargs)
        self.touched[func.__name__] += 1
        longest = max(range(1, scores.dim()), key=lambda place: scores.shape[place])
        is_channel = scores.dim() > 3 and dim in (1, 1 - scores.dim())
        if scores.shape[longest] > 1 and not is_channel:
            args, kwargs = with_argument(args, kwargs, 1, "dim", longest)
            return func(*args, **kwargs)
        return F.logsigmoid(scores) if func.__name__ == "log_softmax" else scores.sigmoid()

    def _of_two(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        scores, target = argument(args, kwargs, 0, "input"), argument(args, kwargs, 1, "target")
        if scores.dim() < 2 or scores.shape[1] != 1:
            return func(*args, **kwargs)
        self.touched[func.__name__] += 1
        return F.binary_cross_entropy_with_logits(scores.flatten(), target.flatten().to(scores.dtype))
