"""What a remedy is: something that changes a training at some of these moments.

    prepare       before the optimizer is built, or while it is: weights are set anew, modules are added behind others, weights are
                  parametrised
    begin_step    an optimizer's step begins: before its closure has run, and before a recording looks at the settings of its groups
    before_step   the gradients are final, the weights have not moved
    after_step    the weights have moved
    end_step      the step is over, for a recording, too

A remedy says what it touched; one that finds nothing to touch says that instead of doing nothing quietly. Hooks left on a user's
modules are functions of this package and hold no reference to the remedy, so that models still pickle and copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import nn
from torch.nn.utils import parametrize

from bnprobe.errors import NothingToActOn, RemedyError, TreatedAlready
from bnprobe.remedies.catalogue import ENTRIES, Entry
from bnprobe.remedies.own_code import runs
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import Settings
from bnprobe.torch_private import gradient_of

S = TypeVar("S", bound=Settings)
M = TypeVar("M", bound=nn.Module)


class Changes(IntEnum):
    """How deep a remedy goes into a model, and so what must not have happened before it."""

    GRADIENTS = 0  # gradients and updates alone: works on wrapped and compiled models
    WEIGHTS = 1  # values of weights: every rank must do the same, so not after DistributedDataParallel has made them equal
    STRUCTURE = 2  # modules, hooks, parameters: neither after DistributedDataParallel nor after torch.compile


@dataclass(frozen=True)
class Added:
    """A parameter that a remedy made, and an old one beside which the optimizer shall train it."""

    name: str
    parameter: nn.Parameter
    beside: nn.Parameter


@dataclass(frozen=True)
class Touched:
    """What a remedy changed.

    Attributes:
        what: in words, after a number: "convolution kernels".
        names: of the modules or parameters.
        added: parameters that did not exist before.
        left: what of the same kind it had to leave as it was, by the reason in words.
    """

    what: str
    names: tuple[str, ...]
    added: tuple[Added, ...] = ()
    left: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Step:
    """One update that an optimizer is about to make, or has made.

    Args:
        optimizer: the optimizer.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self._held = {id(p): p for group in optimizer.param_groups for p in group["params"]}

    @property
    def scale(self) -> torch.Tensor | float:
        """The factor on the gradients: a fused optimizer under a gradient scaler divides by it only inside its step."""
        scale = vars(self.optimizer).get("grad_scale")
        return scale if isinstance(scale, torch.Tensor) else 1.0

    def mine(self, parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
        """Return those parameters that this optimizer moves: two optimizers may share a model."""
        return [parameter for parameter in parameters if id(parameter) in self._held]

    def with_gradient(self) -> list[torch.Tensor]:
        """Return all that this optimizer is about to move."""
        return [parameter for parameter in self._held.values() if gradient_of(parameter) is not None]

    def gradients(self) -> list[torch.Tensor]:
        """Return the elements of all gradients, to be edited in place: rows of a sparse one, pairs of real numbers of a complex one."""
        return [elements_of(parameter) for parameter in self.with_gradient()]


def elements_of(parameter: torch.Tensor) -> torch.Tensor:
    """Return what a parameter's gradient is made of, sharing its memory.

    A sparse gradient is summed over repeated indices first, which is the same gradient; its elements are those of the rows that it
    names. Complex numbers are pairs of real ones, as torch's optimizers take them.
    """
    gradient = parameter.grad
    assert gradient is not None
    if gradient.layout is torch.sparse_coo:
        if not gradient.is_coalesced():
            gradient = parameter.grad = gradient.coalesce()
        gradient = gradient._values()
    return torch.view_as_real(gradient) if gradient.is_complex() else gradient


class Remedy(Generic[S]):
    """One remedy with its settings.

    Args:
        settings: what was asked for; the defaults if None.

    Attributes:
        changes: how deep it goes.
        acts_in_steps: whether it has work to do around every update.
    """

    changes: ClassVar[Changes] = Changes.GRADIENTS
    acts_in_steps: ClassVar[bool] = False

    def __init__(self, settings: S | None = None) -> None:
        self.entry = entry_of(type(self))
        self.settings: S = settings or self.entry.settings()  # type: ignore[assignment]
        self._undo: list[Callable[[], None]] = []

    @property
    def name(self) -> str:
        """What is typed after ``--remedy``."""
        return self.entry.name

    @property
    def needs(self) -> Changes:
        """How deep these settings go; at most ``changes``."""
        return self.changes

    def look(self, scope: Scope) -> Any:
        """Return what ``prepare`` would act on, and change nothing. Those that advice names have it.

        Raises:
            RemedyError: what ``prepare`` would raise.
        """
        raise NotImplementedError

    def prepare(self, scope: Scope) -> Touched:
        """Change the model.

        Raises:
            RemedyError: there is nothing to act on.
        """
        raise NotImplementedError

    def check(self, optimizer: torch.optim.Optimizer) -> None:
        """Look at an optimizer that will train what the remedy acts on.

        Raises:
            RemedyError: the remedy cannot act on its steps.
        """

    def begin_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Set what an optimizer reads at the start of its step, before a closure gives it gradients."""

    def before_step(self, step: Step) -> None:
        """Edit the gradients of an update that is about to be made."""

    def after_step(self, step: Step) -> None:
        """Edit the weights that an update has moved."""

    def end_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Take back what ``begin_step`` has set."""

    def remove(self) -> None:
        """Take back what was added to the model's structure; weights stay what training has made of them."""
        while self._undo:
            self._undo.pop()()

    # -- for the remedies ---------------------------------------------------------------------------------------------

    def nothing(self, what: str, hint: str | None = None) -> NothingToActOn:
        """The error of a remedy that finds nothing to act on."""
        return NothingToActOn(f"remedy {self.name} found nothing to act on: {what}", hint)

    def untreated(self, places: Mapping[str, M], attribute: str) -> dict[str, M]:
        """Leave out the modules that hold what this remedy adds: another optimizer's turn came before.

        Args:
            places: modules by name.
            attribute: the name of what it adds to each.

        Returns:
            The others.

        Raises:
            TreatedAlready: it holds for all of them.
        """
        left = {name: module for name, module in places.items() if attribute not in module._modules}
        if places and not left:
            first = next(iter(places))
            raise TreatedAlready(f"remedy {self.name}: '{first}' has a '{attribute}' already", "apply each remedy once")
        return left

    def add_module(self, owner: nn.Module, name: str, module: nn.Module) -> None:
        """Make a module part of another, so that it trains, moves, saves and switches to evaluation with it."""
        if hasattr(owner, name):
            raise RemedyError(f"remedy {self.name}: a {type(owner).__name__} has something of its own that is called '{name}'")
        module.train(owner.training)
        owner.add_module(name, module)
        self._undo.append(lambda: delattr(owner, name))

    def add_behind(self, owner: nn.Module, name: str, module: nn.Module, hook: Callable[..., Any]) -> None:
        """Make a module part of another, whose results pass through it: by a hook, or because the owner runs what it holds anyway."""
        self.add_module(owner, name, module)
        if not runs(owner, name):
            self.hook(owner.register_forward_hook(hook))

    def add_before(self, owner: nn.Module, name: str, module: nn.Module, hook: Callable[..., Any], **how: bool) -> None:
        """Make a module part of another, whose inputs pass through it: by a hook, or as the first that the owner runs."""
        self.add_module(owner, name, module)
        if runs(owner, name):
            for other in [other for other in owner._modules if other != name]:
                owner._modules[other] = owner._modules.pop(other)
        else:
            self.hook(owner.register_forward_pre_hook(hook, **how))

    def parametrise(self, layer: nn.Module, parametrisation: nn.Module) -> None:
        """Let a layer's weight be computed from its parameter, which stays the same object."""
        self.undo_parametrisation(layer)
        parametrize.register_parametrization(layer, "weight", parametrisation)

    def undo_parametrisation(self, layer: nn.Module, key: str = "weight") -> None:
        """Make a layer's weight, a plain parameter still, one again at ``remove``, with the value that it has by then.

        It will be the same object, which optimizers hold, at the same place among the layer's parameters, which state dicts of
        optimizers count on.
        """
        parameter, order = layer.get_parameter(key), list(layer._parameters)

        def undo() -> None:
            parametrize.remove_parametrizations(layer, key)
            with torch.no_grad():
                parameter.copy_(layer.get_parameter(key))
            layer._parameters[key] = parameter
            for one in order:
                layer._parameters[one] = layer._parameters.pop(one)

        self._undo.append(undo)

    def set_attribute(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute until ``remove``."""
        before = getattr(owner, name, None)
        setattr(owner, name, value)
        self._undo.append(lambda: setattr(owner, name, before))

    def hook(self, handle: Any) -> None:
        """Keep a hook's handle until ``remove``."""
        self._undo.append(handle.remove)


def entry_of(remedy: type[Remedy[Any]]) -> Entry:
    """Return the catalogue's entry of a remedy."""
    place = f"{remedy.__module__.rpartition('.')[2]}:{remedy.__name__}"
    return next(entry for entry in ENTRIES if entry.place == place)
