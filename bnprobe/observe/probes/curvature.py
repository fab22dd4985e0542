"""Curvature probes: every n-th step, between the script's forward and its backward, on the graph that is there anyway.

A probe measures the first backward of its step. Where several backward calls add up to one step, that one's Hessian stands for all of
them, and their number is kept beside it. Which optimizers the step belongs to is only known at its end: a probe that took the wrong
ones (a generator's backward reaches the critic, too) gives no number, and the next one like it is right. Adam and its like have no metric
before their first step: the first probe of such a training comes a step later, as a search in another metric would have to begin anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from bnprobe.errors import CurvatureError
from bnprobe.identity import IdentityMap, OwnReference
from bnprobe.measure.curvature import Effort, Sharpness, SharpnessTracker, lacks_metric
from bnprobe.module_parts import buffers
from bnprobe.observe.attaching.optimizers import Optimizer, trained_parameters
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.faults import let_through
from bnprobe.observe.probes.graph import RERUNS, leaves_and_obstacle
from bnprobe.observe.probes.second_derivatives import DifferentiableKernels
from bnprobe.observe.probes.undisturbed import ScriptHooks, state_kept
from bnprobe.originals import Original
from bnprobe.torch_private import answers_itself, user_modes_disabled

_OWN_CODE = "a tensor in the graph is of a class that computes by code of its own"
#: Four products are enough for one eigenvector that moves, not for two: they go to the metric that decides.
EFFORT = Effort(first=24, later=4, tolerance=0.01, both=False)
SUBJECT = "curvature"


class CurvatureProbes:
    """Probes the curvature of a training.

    Args:
        every: at every n-th step.
        kernels: "script", or "math" to switch to kernels that have a second derivative.
        may_rerun: whether autograd functions of the script, and blocks that it checkpoints, may be run once more.
        muted: a context in which the recorder's own taps see nothing.
        roots: the models, for their buffers.
        optimizers: those that exist.
        number_of: what tells each of them from all others.
        on_row: takes a row of the run file.
        on_gap: called with (subject, reason).
        on_event: called with (step, kind, text).
    """

    def __init__(
        self,
        every: int,
        kernels: str,
        may_rerun: bool,
        muted: Callable[[], AbstractContextManager[None]],
        roots: Callable[[], Iterable[nn.Module]],
        optimizers: Callable[[], Iterable[Optimizer]],
        number_of: Callable[[Optimizer], int],
        on_row: Callable[[dict[str, Any]], None],
        on_gap: Callable[[str, str], None],
        on_event: Callable[[int, str, str], None],
    ) -> None:
        #: What probes have taken of the open step.
        self.seconds = 0.0
        self._every = every
        self._switches = kernels == "math"
        self._may_rerun = may_rerun
        self._muted = muted
        self._roots = roots
        self._optimizers = optimizers
        self._number_of = number_of
        self._on_row = on_row
        self._on_gap = on_gap
        self._on_event = on_event
        self._hooks = ScriptHooks()
        self._kernels = DifferentiableKernels()
        self._trackers: IdentityMap[object, dict[tuple[frozenset[int], frozenset[torch.dtype]], SharpnessTracker]] = IdentityMap()
        #: Which optimizers stepped after a backward that reached these.
        self._stepped_after: dict[frozenset[int], frozenset[int]] = {}
        self._row: dict[str, Any] | None = None
        self._reached: frozenset[int] = frozenset()
        self._probed: list[OwnReference[torch.Tensor]] = []
        self._waits = False
        self._gave_up = False
        self._told = False

    def attach(self, patches: Patches) -> None:
        """Watch the hooks that the script registers, to keep probes from calling them."""
        self._hooks.attach(patches)
        if self._switches:
            self._kernels.attach(patches)

    def detach(self) -> None:
        """Put back the script's kernels."""
        self._kernels.restore()

    def prepare(self, step: int) -> None:
        """A step is about to begin."""
        self._hooks.begin_step()
        self._kernels.restore()
        if self._switches and self._is_due(step):
            self._kernels.use()
            if not self._told:
                self._told = True
                text = "at the steps of a probe attention, recurrent layers and compiled code run on kernels that round differently"
                self._on_event(step, "curvature", text)

    def before_backward(self, step: int, losses: list[torch.Tensor], is_plain: Callable[[], bool], scale: torch.Tensor | None) -> None:
        """The script is about to go backward.

        Args:
            step: the open step.
            losses: where it starts from, live.
            is_plain: tells whether it starts with a gradient of 1 and goes to all leaves.
            scale: factor of a gradient scaler in the losses, if there is one.
        """
        if self._row is not None and self._row["curvature"] == step:
            # Gradients that are there already are added to.
            self._row["curvature_micro_steps"] += any(
                parameter.grad is not None for one in self._probed[:1] if (parameter := one()) is not None
            )
            return
        if not self._is_due(step) or (torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()):  # type: ignore[no-untyped-call]
            return
        began = Original.perf_counter()
        self._row = {"curvature": step, "curvature_micro_steps": 1, "curvature_products": 0, "curvature_reason": ""}
        self._waits = False
        try:
            factor = 1.0 if scale is None else float(scale)
            self._row.update(_columns(self._probe(losses, is_plain, factor, may_wait=step == 0)))
        except CurvatureError as error:
            let_through(error)
            self._say(str(error))
        except _NoMetricYet:
            self._waits = True
        except MemoryError as error:
            let_through(error)
            self._gave_up = True
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                torch.cuda.empty_cache()
            self._say("memory ran out; no further probe is tried")
        finally:
            self._kernels.restore()
            self._row["curvature_seconds"] = Original.perf_counter() - began
            self.seconds += self._row["curvature_seconds"]
            self._row = None if self._waits else self._row

    def end_step(self, moved: frozenset[int]) -> None:
        """The step is over; ``moved`` are the numbers of the optimizers that moved its weights."""
        self.seconds = 0.0
        row, self._row = self._row, None
        if row is None:
            return
        taken = self._stepped_after.get(self._reached, self._reached)
        if moved and self._reached:
            self._stepped_after[self._reached] = moved & self._reached or self._reached
            if "curvature_sharpness" in row and taken != self._stepped_after[self._reached]:
                row = {key: value for key, value in row.items() if key in ("curvature", "curvature_products", "curvature_seconds")}
                row["curvature_reason"] = "the backward reached weights that the step did not move; later probes know which it moves"
        self._on_row(_times(row, row.get("curvature_micro_steps", 1)))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _is_due(self, step: int) -> bool:
        return (step % self._every == 0 or self._waits) and not self._gave_up

    def _say(self, reason: str) -> None:
        assert self._row is not None
        self._row["curvature_reason"] = reason
        self._on_gap(SUBJECT, reason)

    def _probe(self, losses: list[torch.Tensor], is_plain: Callable[[], bool], factor: float, may_wait: bool) -> Sharpness:
        if any(map(answers_itself, losses)):
            raise CurvatureError(_OWN_CODE)
        if not is_plain():
            raise CurvatureError("backward started from something else than losses of one number each")
        if self._hooks.has_packed:
            raise CurvatureError(
                "the script packs what its backward needs (saved_tensors_hooks, a selective checkpoint), and may unpack it once only"
            )
        if self._hooks.has_checkpointed and not self._may_rerun:
            raise CurvatureError(f"the backward runs a checkpointed block of the script again, which would see it; {RERUNS}")
        with user_modes_disabled():
            leaves, obstacle = leaves_and_obstacle(losses, self._may_rerun)
            if obstacle:
                raise CurvatureError(obstacle)
            if any(map(answers_itself, leaves)):
                raise CurvatureError(_OWN_CODE)
            optimizers = self._choose({id(leaf) for leaf in leaves})
            probed = _probed(leaves, optimizers)
            self._probed = [OwnReference(parameter) for parameter in probed]
            if may_wait and lacks_metric(optimizers, probed):
                raise _NoMetricYet
            # Weights may become of another type on the way: what was tracked in the old one is no start for them.
            key = (frozenset(map(self._number_of, optimizers)), frozenset(parameter.dtype for parameter in probed))
            # They hold vectors as long as all weights: gone with the optimizer, or with the weights that have none.
            owner = optimizers[0] if optimizers else probed[0]
            trackers = self._trackers.get(owner)
            if trackers is None:
                trackers = self._trackers[owner] = {}
            tracker = trackers.setdefault(key, SharpnessTracker())
            held = [buffer for root in self._roots() for buffer in buffers(root)]
            devices = {loss.device.type for loss in losses}
            with self._muted(), self._hooks.silenced(), state_kept(held), _without_autocast(devices):
                return tracker.measure(losses, probed, optimizers, EFFORT, factor)

    def _choose(self, leaves: set[int]) -> list[Optimizer]:
        """Return the optimizers that this backward is for."""
        reached = {
            self._number_of(optimizer): optimizer
            for optimizer in self._optimizers()
            if any(id(parameter) in leaves for parameter in trained_parameters(optimizer.param_groups))
        }
        self._reached = frozenset(reached)
        chosen = self._stepped_after.get(self._reached, self._reached)
        return [optimizer for key, optimizer in reached.items() if key in chosen]


class _NoMetricYet(Exception):
    """A probe would be of another matrix than the next one."""


def _probed(leaves: list[torch.Tensor], optimizers: list[Optimizer]) -> list[torch.Tensor]:
    """Return the weights among a graph's leaves, in the optimizers' order; without one, every parameter, or every leaf."""
    if optimizers:
        found = {id(leaf) for leaf in leaves}
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        return [parameter for parameter in trained_parameters(groups) if id(parameter) in found]
    return [leaf for leaf in leaves if isinstance(leaf, nn.Parameter)] or leaves


def _columns(found: Sharpness) -> dict[str, Any]:
    return {
        "curvature_sharpness": found.value,
        "curvature_residual": found.residual,
        "curvature_lowest": found.lowest,
        "curvature_preconditioned": found.preconditioned,
        "curvature_preconditioned_residual": found.preconditioned_residual,
        "curvature_threshold": found.threshold,
        "curvature_learning_rate": found.learning_rate,
        "curvature_limit": found.limit,
        "curvature_settled": found.settled,
        "curvature_products": found.products,
        "curvature_reason": found.reason,
    }


def _times(row: dict[str, Any], micro_steps: int) -> dict[str, Any]:
    """Let one backward's Hessian stand for those of all that add up to the step."""
    if micro_steps > 1:
        for name in ("sharpness", "residual", "lowest", "preconditioned", "preconditioned_residual"):
            row[f"curvature_{name}"] = row.get(f"curvature_{name}", math.nan) * micro_steps
        row["curvature_limit"] = row.get("curvature_limit", math.nan) / micro_steps
    return row


@contextmanager
def _without_autocast(devices: Iterable[str]) -> Iterator[None]:
    """Run as a backward runs: with no casts but those that the forward made."""
    with ExitStack() as stack:
        for device in devices:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield
