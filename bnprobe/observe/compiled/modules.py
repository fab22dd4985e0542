"""Training under torch.compile: a compiled module is left alone, and shadowed at the steps that are measured.

Hooks and compiled code do not live well together: a hook attached late never fires, one attached early breaks the graph, a
global one is called for the compiler's own modules, and a step run eagerly instead rounds differently. So no hook is ever active
while compiled code runs. At a measured step the module is run a second time, eagerly, on the same arguments, with the same random
numbers, copies of the buffers and aliases of the parameters; the taps measure that run. The gradient that reaches the compiled
module's output is then sent through the shadow, which shows every activation gradient. The training itself sees none of this: no
graph break, no recompilation, the same bits.

The shadow rounds as eager code does and draws its own dropout masks where the compiler generates random numbers in its own way.
It costs one more forward and backward at a measured step, and the memory of its activations; the schedule thins it like
everything else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import nn
from torch.autograd import grad

from bnprobe.observe.attaching.patches import Compilation, Patches
from bnprobe.observe.compiled.steps import CompiledSteps, Habit
from bnprobe.observe.faults import Faults
from bnprobe.observe.signals.forward_hook import ForwardTaps
from bnprobe.originals import Original
from bnprobe.remedies.side_effects import without_side_effects
from bnprobe.torch_private import COMPILED_CALL, ORIGINAL_MODULE, skip_when_compiling, tree_leaves, user_modes_disabled


@dataclass
class _Shadow:
    """One eager run beside a compiled one.

    Attributes:
        outputs: its differentiable outputs.
        parameters: the aliases it ran with; gradients with respect to them are computed and thrown away.
        gradients: what reached the compiled module's outputs, by place.
    """

    outputs: list[torch.Tensor]
    parameters: list[torch.Tensor]
    gradients: dict[int, torch.Tensor] = field(default_factory=dict)

    def note_gradient(self, place: int, gradient: torch.Tensor | None) -> None:
        """Keep a gradient; an output that the loss does not use gets None."""
        if gradient is not None:
            self.gradients[place] = gradient


class StepsAside(Protocol):
    """What has hooks or modes of its own in a forward, and takes them off for compiled code."""

    def aside(self) -> AbstractContextManager[None]:
        """Step aside while compiled code runs."""

    def shadowing(self, module: nn.Module) -> AbstractContextManager[None]:
        """The module is repeated eagerly, on aliases of its parameters."""

    def shadowed(self, output: torch.Tensor, repeated: torch.Tensor) -> None:
        """An output of the compiled module has this one for its repetition."""


class CompiledModules:
    """Shadows compiled modules at measured steps.

    Args:
        forward: the taps that measure the shadow.
        faults: where a fault goes.
        is_observed: whether the open step is measured; asked when a compiled module is called.
        on_gap: called with (subject, reason) for compiled code that has no module to shadow.
        line: the line probes, which step aside while compiled code runs and tape the shadow instead.
        steps: optimizer steps inside compiled functions.
    """

    def __init__(
        self,
        forward: ForwardTaps,
        faults: Faults,
        is_observed: Callable[[], bool],
        on_gap: Callable[[str, str], None],
        line: StepsAside,
        steps: CompiledSteps,
    ) -> None:
        self.seconds = 0.0
        self.count = 0
        self._forward = forward
        self._faults = faults
        self._is_observed = is_observed
        self._on_gap = on_gap
        self._line = line
        self._steps = steps
        self._shadows: list[_Shadow] = []
        self._is_shadowing = False
        #: Compiled code is running, and the taps have been taken off for it.
        self.has_taps = False
        self._is_running = False
        self._is_broken = False
        self._patches: Patches | None = None
        self._patched_class: Any = None

    def attach(self, patches: Patches) -> None:
        """Watch what is compiled from now on."""
        self._patches = patches
        patches.replace(torch, "compile", self._seeing_compile)

    def end_micro_step(self) -> None:
        """A backward has run: send what reached the compiled outputs through their shadows."""
        shadows, self._shadows = self._shadows, []
        for shadow in shadows:
            if not shadow.gradients:
                continue
            began, taps_before = Original.perf_counter(), self._forward.seconds
            try:
                places = list(shadow.gradients)
                grad(
                    [shadow.outputs[place] for place in places],
                    shadow.parameters,
                    [shadow.gradients[place] for place in places],
                    allow_unused=True,
                )
            except Exception as error:
                self._give_up(error)
            self.seconds += Original.perf_counter() - began - (self._forward.seconds - taps_before)

    def forget(self) -> None:
        """The step is over."""
        self._shadows.clear()

    # -- what is compiled ---------------------------------------------------------------------------------------------

    def _seeing_compile(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def compile(model: Any = None, *args: Any, **kwargs: Any) -> Any:
            Compilation.in_use = True
            result = original(model, *args, **kwargs)
            if model is None or result is model:  # the decorator form comes back here with its function; or nothing was compiled
                return result
            if isinstance(result, nn.Module):
                self._patch_wrapper_class(type(result))
                return result
            owner = getattr(model, "__self__", None)
            if isinstance(owner, nn.Module) and getattr(model, "__name__", "") in ("_call_impl", "forward"):
                return self._calling(result, model, owner)  # nn.Module.compile()
            return self._calling(result, model, None)

        return compile

    def _patch_wrapper_class(self, wrapper: Any) -> None:
        """``torch.compile(module)`` returns a module whose class is called: see every call of it."""
        if self._patched_class is wrapper or self._patches is None:
            return
        self._patched_class = wrapper

        def seeing_calls(original: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(original)
            def __call__(optimized: Any, *args: Any, **kwargs: Any) -> Any:
                if torch.compiler.is_compiling() or self._is_running:
                    return original(optimized, *args, **kwargs)
                module = getattr(optimized, ORIGINAL_MODULE)
                return self._call(functools.partial(original, optimized), module, module, Habit(), args, kwargs)

            skip_when_compiling(__call__)
            return __call__

        self._patches.replace(wrapper, "__call__", seeing_calls)

    def _calling(self, compiled: Callable[..., Any], eager: Callable[..., Any], module: nn.Module | None) -> Callable[..., Any]:
        habit = Habit()

        @functools.wraps(compiled)
        def call(*args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_compiling() or self._is_running:
                return compiled(*args, **kwargs)
            return self._call(compiled, eager, module, habit, args, kwargs)

        skip_when_compiling(call)
        return call

    # -- a call of it -------------------------------------------------------------------------------------------------

    def _call(
        self, compiled: Callable[..., Any], eager: Callable[..., Any], module: nn.Module | None, habit: Habit, args: Any, kwargs: Any
    ) -> Any:
        if self._is_shadowing:
            return eager(*args, **kwargs)  # a compiled part of a module that is being shadowed
        with self._line.aside():
            if module is None:
                return self._call_function(compiled, eager, habit, args, kwargs)
            return self._call_module(compiled, module, args, kwargs)

    def _call_function(self, compiled: Callable[..., Any], eager: Callable[..., Any], habit: Habit, args: Any, kwargs: Any) -> Any:
        if self._patches is None:
            return compiled(*args, **kwargs)
        with self._steps.around(habit, self._patches) as call, self._unhooked():
            output = compiled(*args, **kwargs)
        with user_modes_disabled():
            ran_layers = torch.is_grad_enabled() and not self._forward.muted and any(tensor.requires_grad for tensor in _tensors(output))
        if call.went_backward or (ran_layers and self._is_observed()):
            self._forward.missed_calls = True
            name = getattr(eager, "__qualname__", type(eager).__name__)
            self._on_gap(
                f"layers called inside the compiled function {name}", "only compiled modules can be shadowed: compile the model instead"
            )
        return output

    def _call_module(self, compiled: Callable[..., Any], module: nn.Module, args: Any, kwargs: Any) -> Any:
        measured = torch.is_grad_enabled() and not self._forward.muted and self._is_observed()
        state = _State(module) if measured and not self._is_broken else None
        with self._patches.unhooked() if self._patches is not None else nullcontext(), self._unhooked():
            output = compiled(*args, **kwargs)
        if state is not None:
            self._shadow(state, module, args, kwargs, output)
        return output

    @contextmanager
    def _unhooked(self) -> Iterator[None]:
        was_attached = self.has_taps = self._forward.attached
        self._is_running = True
        self._forward.detach()
        try:
            yield
        finally:
            self._is_running = self.has_taps = False
            if was_attached:
                self._forward.attach()

    def _shadow(self, state: _State, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        began, taps_before = Original.perf_counter(), self._forward.seconds
        was_attached = self._forward.attached
        self._is_shadowing = True
        try:
            self._forward.attach()
            with state.restored(), without_side_effects(state.module), self._line.shadowing(state.module):
                repeated = torch.func.functional_call(state.module, state.tensors, args, kwargs)
            self._follow(state, output, repeated)
            self.count += 1
        except Exception as error:
            self._give_up(error)
        finally:
            self._is_shadowing = False
            if not was_attached:
                self._forward.detach()
        self.seconds += Original.perf_counter() - began - (self._forward.seconds - taps_before)

    def _follow(self, state: _State, output: Any, repeated: Any) -> None:
        """Catch the gradients that reach the compiled output."""
        pairs = list(zip(_tensors(output), _tensors(repeated), strict=True))
        for real, repetition in pairs:
            self._line.shadowed(real, repetition)
        differentiable = [(real, shadow) for real, shadow in pairs if real.requires_grad and shadow.requires_grad]
        shadow = _Shadow([other for _, other in differentiable], state.parameters)
        for place, (real, _) in enumerate(differentiable):
            hook = torch.utils.hooks.unserializable_hook(functools.partial(shadow.note_gradient, place))  # type: ignore[no-untyped-call]
            real.register_hook(hook)  # type: ignore[no-untyped-call]
        if differentiable:
            self._shadows.append(shadow)

    def _give_up(self, error: Exception) -> None:
        self._is_broken = True
        self._faults.report("the eager shadow of a compiled module", error)


class _State:
    """What an eager repetition needs to see what the compiled call saw: random numbers, buffers, parameters.

    Args:
        module: the compiled module, before the call.
    """

    def __init__(self, module: nn.Module) -> None:
        # Two backward passes through one DistributedDataParallel confuse its reducer; the model inside is what has layers.
        is_parallel = type(module).__name__ == "DistributedDataParallel"
        self.module: nn.Module = module.get_submodule("module") if is_parallel else module
        aliases = {name: parameter.detach().requires_grad_(parameter.requires_grad) for name, parameter in self.module.named_parameters()}
        self.parameters = [alias for alias in aliases.values() if alias.requires_grad]
        self.tensors = {**aliases, **{name: buffer.detach().clone() for name, buffer in self.module.named_buffers()}}
        self._generators = random_states()

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Go back to the random numbers of the call, run its module without compiling, and leave everything as it is now."""
        now = random_states()
        calls = [(module, getattr(module, COMPILED_CALL)) for module in self.module.modules()]
        compiled = [(module, call) for module, call in calls if call is not None]
        set_random_states(self._generators)
        for module, _ in compiled:
            setattr(module, COMPILED_CALL, None)
        try:
            yield
        finally:
            for module, implementation in compiled:
                setattr(module, COMPILED_CALL, implementation)
            set_random_states(now)


def _tensors(output: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor)]


def random_states() -> list[torch.Tensor]:
    """Return the state of every default generator of torch."""
    states = [torch.get_rng_state()]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states += torch.cuda.get_rng_state_all()
    return states


def set_random_states(states: list[torch.Tensor]) -> None:
    """Put back what ``random_states`` returned."""
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(states[1:])
