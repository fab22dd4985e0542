"""Apply remedies to a model and to whatever trains it.

    applied = apply(["msr", "clip-norm:max=2"], model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

The optimizer need not be named: one that steps the model's parameters is recognised at its first step. Name it where it exists
already and a remedy brings new parameters, which it then trains beside the old ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from bnprobe.errors import NothingToActOn, RemedyError
from bnprobe.identity import IdentitySet, OwnReference
from bnprobe.remedies.closures import around_closure, closure_of, with_closure
from bnprobe.remedies.remedy import Added, Changes, Remedy, Step, Touched
from bnprobe.remedies.scope import Scope, wrapping_of
from bnprobe.remedies.specification import Specification, parse_all
from bnprobe.torch_private import eager, gradient_of, is_inner_step, put_first

#: A record names this many modules of each remedy; an attribute of the run file holds 64 KiB.
NAMES_LIMIT = 100


class Applied:
    """Remedies at work on some models.

    It is a context manager, which takes them off again at its end, and may be ignored by those who never want to.

    Args:
        specifications: the remedies, in the order in which they act.
        scope: where they may act.
        optimizer: the optimizer, if it exists already.
        passing_over: let a remedy that finds nothing to act on be; ``passed_over`` then says which, and why.

    Raises:
        RemedyError: one cannot be applied; the model is then as it was, but for weights that another has set anew.
    """

    def __init__(
        self,
        specifications: Sequence[Specification],
        scope: Scope,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        passing_over: bool = False,
    ) -> None:
        self.remedies: list[Remedy[Any]] = []
        self.touched: list[Touched] = []
        self.passed_over: list[tuple[Specification, NothingToActOn]] = []
        self.specifications: list[Specification] = []
        self._scope = scope
        self._handles: list[Any] = []
        self._attached: IdentitySet[torch.optim.Optimizer] = IdentitySet()
        try:
            self._prepare(specifications, optimizer, passing_over)
        except Exception:
            self.remove()
            raise
        if any(remedy.acts_in_steps for remedy in self.remedies):
            if optimizer is not None:
                self.check(optimizer)
                self.attach(optimizer)
            handle = register_optimizer_step_pre_hook(eager(self._begin))
            put_first(handle)  # a recording is to see the rates that are used
            self._handles += [handle, register_optimizer_step_post_hook(eager(self._end))]

    def check(self, optimizer: torch.optim.Optimizer) -> None:
        """Look at an optimizer that will train the models; one whose steps a remedy cannot act on raises a RemedyError."""
        for remedy in self.remedies:
            remedy.check(optimizer)

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Act around the steps of an optimizer; done by itself for one that steps a parameter of the models."""
        if optimizer not in self._attached:
            self._attached.add(optimizer)
            # On the optimizer, not globally: its own hooks run after the global ones before a step, and before them after it,
            # so that a recording sees the gradient as it came and the update as it was made.
            self._handles.append(optimizer.register_step_pre_hook(eager(self._before)))
            self._handles.append(optimizer.register_step_post_hook(eager(self._after)))

    def remove(self) -> None:
        """Take the remedies off: hooks, added modules and parametrisations go, weights stay as they are.

        Parameters that a remedy added stay in the optimizer without effect.
        """
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for remedy in reversed(self.remedies):
            remedy.remove()

    def __enter__(self) -> Applied:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.remove()

    def record(self) -> list[dict[str, Any]]:
        """Return, in order and ready for JSON, each remedy with its settings and what it touched."""
        return [
            {
                "name": one.entry.name,
                "specification": one.text,
                "settings": one.values(),
                "what": touched.what,
                "count": len(touched.names),
                "touched": list(touched.names[:NAMES_LIMIT]),
                **({"left": left} if (left := {why: list(names[:NAMES_LIMIT]) for why, names in touched.left.items() if names}) else {}),
            }
            for one, touched in zip(self.specifications, self.touched, strict=True)
        ]

    def __repr__(self) -> str:
        lines = [f"{one['specification']}: {one['count']} {one['what']}" for one in self.record()]
        return f"<remedies {json.dumps(lines)}>"

    # -- before training ----------------------------------------------------------------------------------------------

    def _prepare(self, specifications: Sequence[Specification], optimizer: torch.optim.Optimizer | None, passing_over: bool) -> None:
        remedies = [(one, one.entry.load()(one.settings)) for one in specifications]
        for _, remedy in remedies:
            for model in self._scope.models:
                check_wrapping(remedy, model)
        devices = {p.device for p in self._scope.trained.values() if p.device.type == "cuda"}
        # What a remedy draws must not shift the script's own draws: with and without it, the same batches in the same order.
        with torch.random.fork_rng(devices=sorted(devices, key=str)):
            for specification, remedy in remedies:
                self.remedies.append(remedy)
                try:
                    touched = remedy.prepare(self._scope)
                except NothingToActOn as nothing:
                    if not passing_over:
                        raise
                    self.passed_over.append((specification, nothing))
                    self.remedies.pop().remove()
                    continue
                self.specifications.append(specification)
                self.touched.append(touched)
                self._scope.trained.update((id(one.parameter), one.parameter) for one in touched.added)
                if optimizer is not None and touched.added:
                    hand_over(optimizer, touched.added, remedy.name)

    # -- around every step --------------------------------------------------------------------------------------------

    def _begin(self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Attach to an optimizer that moves our parameters, in time for the step that it is about to make, and begin that."""
        if optimizer not in self._attached:
            held = (p for group in optimizer.param_groups for p in group["params"])
            if any(id(p) in self._scope.trained for p in held):
                self.check(optimizer)
                self.attach(optimizer)
        if optimizer in self._attached and not is_inner_step(optimizer):
            for remedy in self.remedies:
                remedy.begin_step(optimizer)

    def _end(self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if optimizer in self._attached and not is_inner_step(optimizer):
            for remedy in self.remedies:
                remedy.end_step(optimizer)

    def _before(self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if is_inner_step(optimizer):  # a step that calls the step it inherits
            return None
        closure = closure_of(args, kwargs)
        if closure is None:
            self._edit_gradients(optimizer)
            return None
        return with_closure(args, kwargs, around_closure(lambda function: partial(self._run_closure, function, optimizer), closure))

    def _run_closure(self, closure: Callable[..., Any], optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
        """The gradients of such a step exist only once its closure has run; a closure may also be asked for a loss alone."""
        before = _Gradients(optimizer)
        result = closure(*args, **kwargs)
        if before.have_changed():
            self._edit_gradients(optimizer)
        return result

    @torch.no_grad()
    def _edit_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        step = Step(optimizer)
        for remedy in self.remedies:
            remedy.before_step(step)

    @torch.no_grad()
    def _after(self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not is_inner_step(optimizer):
            step = Step(optimizer)
            for remedy in self.remedies:
                remedy.after_step(step)


def apply(
    remedies: str | Iterable[str],
    model: nn.Module | Sequence[nn.Module],
    optimizer: torch.optim.Optimizer | None = None,
) -> Applied:
    """Change how a model trains.

    Args:
        remedies: one or more of ``bnprobe remedies``, with settings: ``"msr:w=0.99"``, ``["no-norm", "agc"]``.
        model: the model or models that will be trained, before they are wrapped or compiled.
        optimizer: the optimizer, if it has been built already; otherwise it is recognised at its first step.

    Returns:
        The remedies at work; ``remove()``, or leaving a ``with`` block, takes them off.

    Raises:
        RemedyError: a remedy is unknown, finds nothing to act on, or comes too late for this model or optimizer.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    >>> apply("msr", model)
    <remedies ["msr: 2 convolution kernels"]>
    """
    models = [model] if isinstance(model, nn.Module) else list(model)
    return Applied(parse_all(remedies), Scope(models), optimizer)


def hand_over(optimizer: torch.optim.Optimizer, added: Sequence[Added], remedy: str) -> None:
    """Let an optimizer train new parameters, each in the group of the old one beside it; one that cannot raises a RemedyError."""
    left = hand_over_fitting(optimizer, added, remedy)
    if left:
        raise untrained(left, remedy, type(optimizer).__name__)


def untrained(left: Sequence[Added], remedy: str, optimizer: str) -> RemedyError:
    """The error of added parameters that no optimizer can train."""
    return RemedyError(
        f"remedy {remedy} adds {len(left)} scales or shifts, {left[0].name} the first, and {optimizer} trains matrices alone",
        "it needs a second optimizer for the model's vectors, or another group, which then trains these, too",
    )


def hand_over_fitting(optimizer: torch.optim.Optimizer, added: Sequence[Added], remedy: str) -> list[Added]:
    """Let an optimizer train those new parameters that it can, and return the others.

    What remedies add are scales and shifts. An optimizer, or a group, that makes orthogonal matrices of its updates (Muon) takes none:
    they go into a group that does not, one that holds vectors if there is one.

    Returns:
        What it cannot train.

    Raises:
        RemedyError: the optimizer has begun to train, or was not made for this model.
    """
    if optimizer.state:
        raise RemedyError(
            f"remedy {remedy} adds parameters, and this {type(optimizer).__name__} has state already",
            f'build the optimizer after bnprobe.remedies.apply("{remedy}", model)',
        )
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    missing = next((one for one in added if id(one.beside) not in groups), None)
    if missing is not None:
        raise RemedyError(
            f"remedy {remedy} adds {missing.name}, and the optimizer trains nothing beside it",
            f'build the optimizer after bnprobe.remedies.apply("{remedy}", model)',
        )
    left: list[Added] = []
    for one in added:
        if not adopt(optimizer, one, groups[id(one.beside)]):
            left.append(one)
    return left


def adopt(optimizer: torch.optim.Optimizer, one: Added, group: dict[str, Any] | None = None) -> bool:
    """Put a new parameter into a group of an optimizer; return whether it has one that can train it, or trains it already."""
    if any(p is one.parameter for group in optimizer.param_groups for p in group["params"]):
        return True
    if group is None or _makes_orthogonal(group):
        fitting = [group for group in optimizer.param_groups if not _makes_orthogonal(group)]
        if not fitting:
            return False
        group = min(fitting, key=lambda one: all(p.dim() > 1 for p in one["params"]))
    group["params"].append(one.parameter)
    if "param_names" in group:
        group["param_names"].append(one.name)
    return True


def _makes_orthogonal(group: Mapping[str, Any]) -> bool:
    """Whether updates are orthogonal matrices, by the iterations that make them so."""
    return bool(group.get("use_muon", "ns_steps" in group))


def check_wrapping(remedy: Remedy[Any], model: nn.Module) -> None:
    """Refuse a remedy that comes too late for a model, which was wrapped, compiled or sharded before; that raises a RemedyError."""
    wrapping = wrapping_of(model)
    too_late = {
        "DistributedDataParallel": remedy.needs >= Changes.WEIGHTS,
        "torch.compile": remedy.needs >= Changes.STRUCTURE,
        "FSDP": True,
    }
    if wrapping is not None and too_late[wrapping]:
        raise RemedyError(
            f"remedy {remedy.name} changes the model, and {wrapping} has fixed it already",
            f'in the script, ahead of {wrapping}: bnprobe.remedies.apply("{remedy.name}", model)',
        )


class _Gradients:
    """Remembers which gradients an optimizer finds, and how often each has been written to, without keeping one alive.

    Args:
        optimizer: whose parameters are looked at.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._known = [(OwnReference(gradient), gradient._version) for gradient in self._now()]

    def _now(self) -> list[torch.Tensor]:
        parameters = (p for group in self._optimizer.param_groups for p in group["params"])
        return [gradient for p in parameters if (gradient := gradient_of(p)) is not None]

    def have_changed(self) -> bool:
        """Return whether any of them is new or another."""
        now = self._now()
        return len(now) != len(self._known) or any(
            reference() is not gradient or gradient._version != version
            for gradient, (reference, version) in zip(now, self._known, strict=True)
        )
