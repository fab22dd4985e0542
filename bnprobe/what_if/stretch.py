"""The first steps of a live training, put on a tape as they happen.

From the first forward with gradient to the last of N steps every operation is seen but those inside a backward, an optimizer's step, and
compiled code. The training sees none of it.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from bnprobe.identity import OwnReference
from bnprobe.measure.graph import nodes
from bnprobe.observe.autograd_patch import trained_leaves
from bnprobe.observe.faults import Faults
from bnprobe.observe.module_calls import before_forward
from bnprobe.observe.modules.parts import modules
from bnprobe.observe.optimizers import Optimizer, trained_parameters, trains_nothing
from bnprobe.observe.options import FEWEST_WHAT_IF_STEPS
from bnprobe.observe.patches import Patches
from bnprobe.observe.probes.line_probing import is_plain_call, remove_mode
from bnprobe.observe.probes.tape import UNSEEN, Constant, Hole, Recording, Slot, version
from bnprobe.observe.remedy_injector import models_of
from bnprobe.torch_private import (
    BACKWARD_OWNERS,
    BEGIN_PROFILING,
    PROFILER,
    RUN_BACKWARD,
    backward_call,
    dispatch_depth,
    functorch_wraps,
    in_backward,
    is_imaginary,
    push_dispatch_mode,
    user_modes_disabled,
)
from bnprobe.what_if.optimizer_copy import copy_optimizer, largest_rate, settings_of
from bnprobe.what_if.program import Backward, Move, Program, hole_of, needed
from bnprobe.what_if.python_numbers import changing_number
from bnprobe.what_if.remedy_edits import Built
from bnprobe.what_if.skeleton import Skeleton
from bnprobe.what_if.stretch_tape import StretchTape

#: Attributes through which a gradient scaler speaks to an optimizer that does its work itself.
HANDED = ("grad_scale", "found_inf")


class Stretch:
    """Puts the first steps of the training on a tape.

    Args:
        steps: how many.
        memory: bytes that may be kept for it; where they are used up, the stretch ends earlier.
        step_number: tells the open step.
        settle: closes the step whose update has happened.
        optimizers: those of the recorded training.
        faults: where a fault goes.
        has_diverged: whether the training has; given, one stretch follows the other until then.

    Attributes:
        refusal: why there is no program; empty as long as there may be one.
        note: what else is to be said of it: that memory has cut it short.
    """

    def __init__(
        self,
        steps: int,
        memory: int,
        step_number: Callable[[], int],
        settle: Callable[[], None],
        optimizers: Callable[[], list[Optimizer]],
        faults: Faults,
        has_diverged: Callable[[], bool] | None = None,
    ) -> None:
        self.refusal = ""
        self.note = ""
        self.seconds = 0.0
        self._steps = steps
        self._memory = memory
        self._step_number = step_number
        self._settle = settle
        self._optimizers = optimizers
        self._faults = faults
        self._has_diverged = has_diverged
        #: Stretches that are complete, the first and the last of them, with when optimizers were built.
        self.complete: list[tuple[Program, list[Built]]] = []
        self._handle: Any = None
        self._tape: StretchTape | None = None
        self._mode: Recording | None = None
        self._depth = 0
        self._own = 0
        self._first_step = 0
        self._over = False
        self._known: list[weakref.ref[Optimizer]] = []
        self._copies: dict[int, Optimizer] = {}
        self._unscaled: dict[Slot, tuple[Slot, torch.Tensor]] = {}
        self._scale: torch.Tensor | None = None
        self._scaler: Any = None
        self._moved = 0
        self._moving = False
        self._customs: tuple[str, ...] = ()
        self._random_state = self._last_random_state = torch.zeros(0)
        self._last_step = 0
        self._built: list[tuple[weakref.ref[Optimizer], Built, list[tuple[weakref.ref[torch.Tensor], int]]]] = []
        self._loaded: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self.built: list[Built] = []

    # -- life ---------------------------------------------------------------------------------------------------------

    def attach(self, patches: Patches) -> None:
        """Wait for the first forward."""
        if self._over:
            return
        self._handle = before_forward(self._before_forward)
        for owner in BACKWARD_OWNERS:
            patches.replace(owner, RUN_BACKWARD, self._seeing_backward, stays=True)
        patches.replace(PROFILER, BEGIN_PROFILING, self._seeing_profilers)
        patches.replace(torch.amp.GradScaler, "scale", self._seeing_scale)
        patches.replace(torch.amp.GradScaler, "step", self._seeing_scaled_step)
        patches.replace(Optimizer, "__init__", self._seeing_construction)
        patches.replace(nn.Module, "load_state_dict", self._seeing_loads)
        patches.replace(Optimizer, "load_state_dict", self._seeing_state_loads)

    def detach(self) -> None:
        """Leave torch alone; the stretch is over."""
        self.pause()
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
        self._over = True

    def refuse(self, reason: str) -> None:
        """Give up."""
        self.refusal = self.refusal or reason
        self._tape = None
        self._copies.clear()
        self._built.clear()
        self.built.clear()
        self.detach()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """A fault in here ends the stretch, and not the training."""
        try:
            yield
        except Exception as error:
            self.refuse(f"a fault of bnprobe: {type(error).__name__}: {str(error)[:200]}")
            self._faults.report("what if", error)

    @property
    def is_open(self) -> bool:
        """Whether steps are being put on the tape."""
        return self._tape is not None and not self._over

    def pause(self) -> None:
        """Look away."""
        mode, self._mode = self._mode, None
        if mode is not None:
            remove_mode(mode)

    def resume(self) -> None:
        """Look again."""
        if self._tape is not None and not self._over and self._mode is None:
            self._mode = Recording(self._tape)
            push_dispatch_mode(self._mode)

    # -- the training's course ----------------------------------------------------------------------------------------

    def _before_forward(self, module: torch.nn.Module, args: Any) -> None:
        """A module is called with gradient: the step before it is over, and the stretch begins if it has not."""
        if self._over or not torch.is_grad_enabled() or in_backward() or not is_plain_call():
            return
        with self._guarded():
            if self._tape is None:
                self._begin()
            elif self._mode is not None:
                self._settle()

    def _begin(self) -> None:
        if torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():  # type: ignore[no-untyped-call]
            return self.refuse("the forward is captured as a CUDA graph")
        if threading.current_thread() is not threading.main_thread():
            return self.refuse("the forward runs in a thread of its own")
        if dispatch_depth():
            return self.refuse("the script itself watches torch's operations, with a dispatch mode")
        self._settle()
        self._first_step = self._last_step = self._step_number()
        self._random_state = torch.default_generator.get_state()
        with user_modes_disabled(), torch.no_grad():
            self._tape = StretchTape()
            for optimizer in self._optimizers():
                self._copy(optimizer)
        self.resume()

    def _copy(self, optimizer: Optimizer) -> int | None:
        """Return the number of an optimizer, copied as it is if it has not been."""
        for number, reference in enumerate(self._known):
            if reference() is optimizer:
                return number
        tape = self._tape
        assert tape is not None
        leaves = {}
        for parameter in trained_parameters(optimizer.param_groups):
            if not parameter.is_leaf:
                self.refuse("an optimizer moves tensors that are no leaves")
                return None
            leaves[id(parameter)] = tape.starts[tape.leaf(parameter)]
        number = len(self._known)
        try:
            self._copies[number] = copy_optimizer(optimizer, leaves)
        except Exception as error:
            self.refuse(f"its {type(optimizer).__name__} cannot be copied: {type(error).__name__}: {str(error)[:200]}")
            return None
        self._known.append(OwnReference(optimizer))
        self._resolve_construction(optimizer, number)
        return number

    def _seeing_construction(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def __init__(optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
            original(optimizer, *args, **kwargs)
            if not self._over and not trains_nothing(optimizer):
                with self._guarded(), user_modes_disabled(), torch.no_grad():
                    self._note_construction(optimizer)

        return __init__

    def expect(self, optimizers: Sequence[Optimizer]) -> None:
        """Know optimizers that were built before the recording: a remedy would act on what they train now."""
        for optimizer in optimizers:
            if not trains_nothing(optimizer):
                with self._guarded(), torch.no_grad():
                    self._note_construction(optimizer)

    def _note_construction(self, optimizer: Optimizer) -> None:
        """Remember what a remedy would have found, had it acted now."""
        parameters = trained_parameters(optimizer.param_groups)
        models = models_of(parameters)
        if not models:
            return
        loaded = {id(module) for module in self._loaded}
        built = Built(
            models=[Skeleton(model) for model in models],
            trained=[],
            random_state=torch.default_generator.get_state(),
            was_loaded=any(id(module) in loaded for model in models for module in modules(model)),
        )
        self._built.append((OwnReference(optimizer), built, [(OwnReference(p), version(p)) for p in parameters]))

    def _resolve_construction(self, optimizer: Optimizer, number: int) -> None:
        """The leaves have slots now."""
        tape = self._tape
        assert tape is not None
        for reference, built, parameters in self._built:
            if reference() is not optimizer or built.number >= 0:
                continue
            alive = [(parameter, before) for each, before in parameters if (parameter := each()) is not None]
            built.number = number
            built.trained = [tape.leaf(parameter) for parameter, _ in alive]
            built.was_changed = any(version(parameter) != before for parameter, before in alive)
            slots = {id(parameter): slot for parameter, slot in zip((p for p, _ in alive), built.trained, strict=True)}
            for skeleton in built.models:
                skeleton.resolve(slots)
            self.built.append(built)

    def _seeing_state_loads(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_state_dict(optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
            if self.is_open and any(reference() is optimizer for reference in self._known):
                self.refuse("the state of an optimizer was loaded during the stretch")
            return original(optimizer, *args, **kwargs)

        return load_state_dict

    def _seeing_loads(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_state_dict(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            result = original(module, *args, **kwargs)
            if not self._over:
                self._loaded.add(module)
            return result

        return load_state_dict

    def before_update(self, optimizer: Optimizer) -> None:
        """An optimizer is about to move its weights."""
        if not self.is_open:
            return
        self.pause()
        with self._guarded():
            self._begin_move(optimizer)

    def _begin_move(self, optimizer: Optimizer) -> None:
        if in_backward():
            return self.refuse("the optimizer steps inside backward")
        if _needs_closure(optimizer):
            return self.refuse(f"{type(optimizer).__name__} asks for the loss inside its step, as often as it likes")
        self._moving = True
        with user_modes_disabled(), torch.no_grad():
            self._note_move(optimizer)

    def _note_move(self, optimizer: Optimizer) -> None:
        self._moved += 1
        tape = self._tape
        assert tape is not None
        number = self._copy(optimizer)
        if number is None:
            return
        tape.note_gradients()
        copied = self._copies[number]
        if [len(group["params"]) for group in optimizer.param_groups] != [len(group["params"]) for group in copied.param_groups]:
            return self.refuse("an optimizer was given parameters during the stretch")
        held = [tape.leaf(parameter) for parameter in trained_parameters(optimizer.param_groups)]
        gradients = tape.gradients_of(held)
        move = Move(number, settings_of(optimizer), held, gradients, self._step_number())
        for name in HANDED:
            if isinstance(value := vars(optimizer).get(name), torch.Tensor):
                move.handed[name] = self._at_hand(value)
        if self._scaler is not None:
            found = self._scaler._found_inf_per_device(optimizer).values()
            move.conditions = [slot for value in found if (slot := tape.find(value)) is not None]
        tape.note(move)
        tape.has_moved = True

    def _at_hand(self, value: torch.Tensor) -> Slot | Constant:
        """Return what a number in a tensor is for the tape; one that no parameter has a part in is copied."""
        assert self._tape is not None
        slot = self._tape.find(value)
        if slot is not None:
            return slot
        copy = value.detach().clone()
        return Constant(copy, version(copy))

    @property
    def customs(self) -> tuple[str, ...]:
        """Names of autograd functions of the script's own that its first loss went through: their backwards are not on the tape."""
        return tuple(filter(None, self._customs))

    def after_update(self) -> None:
        """It has."""
        self._moving = False
        self.resume()

    def end_step(self, number: int) -> None:
        """A step is closed."""
        if not self.is_open or number < self._first_step:
            return
        with self._guarded():
            self._end_step(number)

    def _end_step(self, number: int) -> None:
        tape = self._tape
        assert tape is not None
        was_open = self._mode is not None
        self.pause()
        if tape.broken:
            return self.refuse(tape.broken)
        tape.prune()
        self._scale = None
        self._unscaled.clear()
        self._last_step = number + 1
        self._last_random_state = torch.default_generator.get_state()
        for built in self.built:
            built.changed_mode = not all(skeleton.has_kept_its_mode() for skeleton in built.models)
        done = number + 1 - self._first_step
        if self._has_diverged is not None and self._has_diverged():
            return self.detach()
        if done >= self._steps or (tape.held_bytes > self._memory and self.complete):
            return self._turn_over() if self._has_diverged is not None else self.detach()
        if tape.held_bytes > self._memory:
            self.note = f"{done} steps fill the {self._memory / 2**20:.0f} MiB that may be kept; --what-if-memory allows more"
            return self.detach()
        if was_open:
            self.resume()

    def _turn_over(self) -> None:
        """The stretch is complete: the next one begins with the next forward."""
        program = self.take()
        if program is None:
            return self.detach()
        self.complete = [*self.complete[:1], (program, self.built)]
        self.built = []
        self._known, self._copies, self._customs = [], {}, ()
        self._built = [
            (optimizer, replace(built, models=twins(built.models), trained=[], number=-1), parameters)
            for optimizer, built, parameters in self._built
        ]

    # -- backwards ----------------------------------------------------------------------------------------------------

    def _seeing_backward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def run_backward(*args: Any, **kwargs: Any) -> Any:
            if not self.is_open or self._depth or in_backward():
                return original(*args, **kwargs)
            if self._mode is None:
                if self._moving:
                    self.refuse("an optimizer asks for the loss again inside its step")
                return original(*args, **kwargs)
            self._depth += 1
            self.pause()
            item: Backward | None = None
            try:
                with self._guarded():
                    item = self._begin_backward(args, kwargs)
                result = original(*args, **kwargs)
                with self._guarded():
                    self._end_backward(item, result)
                return result
            finally:
                self._depth -= 1
                self.resume()

        return run_backward

    def _begin_backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Backward | None:
        tape = self._tape
        assert tape is not None
        with user_modes_disabled(), torch.no_grad():
            call = backward_call(args, kwargs)
            if not all(isinstance(output, torch.Tensor) for output in call.outputs) or any(map(is_imaginary, call.outputs)):
                self.refuse("a backward starts from what is no tensor")
                return None
            if any(isinstance(one, torch.Tensor) and functorch_wraps(one) for one in (*call.outputs, *call.gradients)):
                self.refuse("a gradient is batched or transformed (torch.func)")
                return None
            if not self._customs and call.outputs:
                self._customs = custom_functions(call.outputs) or ("",)
            tape.note_gradients()
            outputs = [tape.given(output) for output in call.outputs]
            gradients = [None if gradient is None else tape.given(gradient) for gradient in call.gradients]
            inputs = [tape.given(each) for each in call.inputs] if call.inputs else None
            wrong = [found for found in (*outputs, *gradients, *(inputs or ())) if isinstance(found, Hole)]
            if wrong or not all(isinstance(found, Slot) for found in (*outputs, *(inputs or ()))):
                self.refuse(tape.broken or (wrong[0].reason if wrong else UNSEEN))
                return None
            item = Backward(outputs, gradients, inputs, call.accumulates, call.keeps_graph, bool(_creates_graph(args, kwargs)))  # type: ignore[arg-type]
            if trained_leaves(call) is not None and all(output.numel() == 1 for output in call.outputs):
                item.losses = [self._unscaled[output][0] if output in self._unscaled else output for output in item.outputs]
                item.recorded = [
                    self._unscaled[slot][1] if slot in self._unscaled else output.detach().clone()
                    for slot, output in zip(item.outputs, call.outputs, strict=True)
                ]
                if self._scale is not None and not any(output in self._unscaled for output in item.outputs):
                    item.scale = self._at_hand(self._scale)
                    item.recorded = [value / self._scale for value in item.recorded]
            tape.note(item)
            return item

    def _end_backward(self, item: Backward | None, result: Any) -> None:
        tape = self._tape
        if item is None or tape is None:
            return
        with user_modes_disabled(), torch.no_grad():
            item.step = self._step_number()
            if item.accumulates:
                item.results = tape.take_gradients()
            else:
                given = result if isinstance(result, Sequence) else (result,)
                slots = [tape.define(gradient) if gradient is not None else None for gradient in given]
                item.results = list(zip(item.inputs or (), slots, strict=True))

    def _seeing_profilers(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def prepare(*args: Any, **kwargs: Any) -> Any:
            if self.is_open:
                self.refuse("the script profiles its operations, and would count those of the tape")
            return original(*args, **kwargs)

        return prepare

    def _seeing_scale(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def scale(scaler: Any, outputs: Any) -> Any:
            result = original(scaler, outputs)
            factor = getattr(scaler, "_scale", None)
            if self.is_open and self._tape is not None and scaler.is_enabled() and isinstance(factor, torch.Tensor):
                with self._guarded(), user_modes_disabled():
                    self._scale = factor
                    for one, scaled in zip(_sequence(outputs), _sequence(result), strict=False):
                        if isinstance(one, torch.Tensor) and isinstance(scaled, torch.Tensor):
                            before, after = self._tape.find(one), self._tape.find(scaled)
                            if before is not None and after is not None:
                                self._unscaled[after] = before, one.detach().clone()
            return result

        return scale

    def _seeing_scaled_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def step(scaler: Any, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
            if not self.is_open or not scaler.is_enabled():
                return original(scaler, optimizer, *args, **kwargs)
            self._scaler, moved = scaler, self._moved
            try:
                result = original(scaler, optimizer, *args, **kwargs)
                if self._moved == moved and self.is_open:
                    self.pause()
                    with self._guarded(), user_modes_disabled(), torch.no_grad():
                        self._note_move(optimizer)
                    self.resume()
                return result
            finally:
                self._scaler = None

        return step

    # -- the result ---------------------------------------------------------------------------------------------------

    def take(self, fewest: int | None = None) -> Program | None:
        """Return the program; None where there is none, and ``refusal`` says why. The tape is gone then.

        Args:
            fewest: steps that it must have.
        """
        fewest = FEWEST_WHAT_IF_STEPS if fewest is None else fewest
        tape, self._tape = self._tape, None
        if tape is None or self.refusal:
            self.refusal = self.refusal or "no forward with gradient was seen"
            return None
        steps = self._last_step - self._first_step
        if tape.broken or steps < fewest:
            self.refusal = tape.broken or f"only {steps} steps were seen, and {fewest} are needed"
            return None
        end = self._first_step + steps
        items = [item for item in tape.items if not isinstance(item, Backward | Move) or item.step < end]
        while items and not (isinstance(items[-1], Backward) and items[-1].losses):
            items.pop()
        items = needed(items)
        hole = hole_of(items)
        if hole is not None:
            self.refusal = hole.reason
            return None
        if reason := tape.loaded(items) or changing_number(items):
            self.refusal = reason
            return None
        for place, item in enumerate(items):
            item.place = place
        moves = [item for item in items if isinstance(item, Move)]
        rates = [rate for move in moves if (rate := largest_rate(move.settings)) == rate]
        if not rates:
            self.refusal = "no learning rate was seen: the script updates its weights without an optimizer"
            return None
        used = {move.optimizer for move in moves}
        optimizers = {number: copied for number, copied in self._copies.items() if number in used}
        draws_nothing = torch.equal(self._random_state, self._last_random_state)
        return Program(items, tape.starts, optimizers, self._first_step, steps, max(rates), self._random_state, draws_nothing)


def _needs_closure(optimizer: Optimizer) -> bool:
    """Whether an optimizer's step cannot be made without an argument."""
    given = list(inspect.signature(type(optimizer).step).parameters.values())[1:]
    return any(one.default is one.empty for one in given if one.kind is one.POSITIONAL_OR_KEYWORD)


def twins(models: Sequence[Skeleton]) -> list[Skeleton]:
    """Return skeletons of the same models, which share what they shared."""
    seen: dict[int, Skeleton] = {}
    return [model.twin(seen) for model in models]


def custom_functions(outputs: Sequence[torch.Tensor]) -> tuple[str, ...]:
    """Return the names of the autograd functions written in python in the graph of some signals."""
    own = (node for node in nodes(outputs) if isinstance(node, torch.autograd.function.BackwardCFunction))
    return tuple(sorted({type(node).__name__.removesuffix("Backward") for node in own}))


def _sequence(tensors: Any) -> Sequence[Any]:
    return tensors if isinstance(tensors, list | tuple) else (tensors,)


def _creates_graph(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return kwargs.get("create_graph", args[3] if len(args) > 3 else False)
