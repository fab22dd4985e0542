"""The first steps of a live training, put on a tape as they happen.

From the first forward with gradient to the last of N steps every operation is seen but those inside a backward, an optimizer's step, and
compiled code. The training sees none of it.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from bnprobe.observe.attaching.module_calls import before_forward
from bnprobe.observe.attaching.optimizers import Optimizer
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.faults import Faults
from bnprobe.observe.options import FEWEST_WHAT_IF_STEPS
from bnprobe.observe.probes.tape import Recording
from bnprobe.observe.probes.taping import is_plain_call, remove_mode
from bnprobe.torch_private import (
    BACKWARD_OWNERS,
    BEGIN_PROFILING,
    PROFILER,
    RUN_BACKWARD,
    dispatch_depth,
    in_backward,
    push_dispatch_mode,
    user_modes_disabled,
)
from bnprobe.what_if.backwards import Backwards
from bnprobe.what_if.constructions import Constructions
from bnprobe.what_if.kept_memory import Holes
from bnprobe.what_if.moves import Moves
from bnprobe.what_if.needs import Needs, needs_of, slack_of
from bnprobe.what_if.program import Backward, Program
from bnprobe.what_if.remedy_edits import Built
from bnprobe.what_if.stretch_tape import StretchTape
from bnprobe.what_if.taking import program_of


class Stretch:
    """Puts the first steps of the training on a tape.

    Args:
        steps: how many.
        memory: bytes that it may take until it is answered; where they are used up, the stretch ends earlier. Where one follows the other,
            that is a third for each: the first, the last whole one, and the one that is going on.
        step_number: tells the open step.
        settle: closes the step whose update has happened.
        optimizers: those of the recorded training.
        faults: where a fault goes.
        name_of: tells the name of a parameter in the recording, empty as long as it has none.
        has_diverged: whether the training has; given, one stretch follows the other until then.

    Attributes:
        refusal: why there is no program; empty as long as there may be one.
        note: what else is to be said of it: that memory has cut it short.
        held_bytes: memory that the tapes taken so far keep and their reruns need, at most.
    """

    def __init__(
        self,
        steps: int,
        memory: int,
        step_number: Callable[[], int],
        settle: Callable[[], None],
        optimizers: Callable[[], list[Optimizer]],
        faults: Faults,
        name_of: Callable[[torch.Tensor], str],
        has_diverged: Callable[[], bool] | None = None,
    ) -> None:
        self.refusal = ""
        self.note = ""
        self.held_bytes = 0
        self.seconds = 0.0
        self._steps = steps
        self._memory, self._promise = (memory // 3 if has_diverged is not None else memory), memory
        self._holes = Holes(slack_of(self._memory))
        self._needs = Needs(0, 0, 0)
        #: Why memory does not suffice for an answer; empty where it does.
        self._shortage = ""
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
        self._moving = False
        self._random_state = self._last_random_state = torch.zeros(0)
        self._last_step = 0
        self._constructions = Constructions(lambda: self._over, self._guarded, name_of)
        self._moves = Moves(self._constructions, self.refuse)
        self._backwards = Backwards(lambda: self._tape if self.is_open else None, self._guarded, self.refuse)

    @property
    def built(self) -> list[Built]:
        """When the optimizers of the stretch were built."""
        return self._constructions.built

    @property
    def hidden_backwards(self) -> str:
        """Why backwards of its first loss may not be on the tape: autograd functions of the script's own; "" where all are."""
        return self._backwards.hidden

    # -- life ---------------------------------------------------------------------------------------------------------

    def attach(self, patches: Patches) -> None:
        """Wait for the first forward."""
        if self._over:
            return
        self._handle = before_forward(self._before_forward)
        for owner in BACKWARD_OWNERS:
            patches.replace(owner, RUN_BACKWARD, self._seeing_backward, stays=True)
        patches.replace(PROFILER, BEGIN_PROFILING, self._seeing_profilers)
        self._backwards.attach(patches)
        patches.replace(torch.amp.GradScaler, "step", self._seeing_scaled_step)
        self._constructions.attach(patches)
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
        self._moves.forget()
        self._constructions.forget()
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
                self._moves.copy(optimizer, self._tape)
        self.resume()

    def expect(self, optimizers: Sequence[Optimizer]) -> None:
        """Know optimizers that were built before the recording: a remedy would act on what they train now."""
        self._constructions.expect(optimizers)

    def _seeing_state_loads(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_state_dict(optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
            if self.is_open and self._moves.knows(optimizer):
                self.refuse("the state of an optimizer was loaded during the stretch")
            return original(optimizer, *args, **kwargs)

        return load_state_dict

    def before_update(self, optimizer: Optimizer) -> None:
        """An optimizer is about to move its weights."""
        if not self.is_open:
            return
        self.pause()
        with self._guarded():
            self._begin_move(optimizer)

    def _begin_move(self, optimizer: Optimizer) -> None:
        if reason := self._moves.refuses(optimizer):
            return self.refuse(reason)
        self._moving = True
        self._note_move(optimizer)

    def _note_move(self, optimizer: Optimizer) -> None:
        assert self._tape is not None
        with user_modes_disabled(), torch.no_grad():
            self._moves.note(optimizer, self._tape, self._step_number())

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
        self._backwards.end_step()
        self._constructions.end_step()
        self._last_step = number + 1
        self._last_random_state = torch.default_generator.get_state()
        done = number + 1 - self._first_step
        if self._has_diverged is not None and self._has_diverged():
            return self.detach()
        is_full = self._fills_memory(tape, done)
        if done >= self._steps or (is_full and self.complete):
            return self._turn_over() if self._has_diverged is not None else self.detach()
        if is_full:
            return self.detach()
        if was_open:
            self.resume()

    def _fills_memory(self, tape: StretchTape, done: int) -> bool:
        """Whether one more step would take more than may be taken; say so, and where an answer takes more, that there is none."""
        self._holes.give_back()
        before, self._needs = self._needs, needs_of(tape, self._optimizers(), self._memory)
        growth = self._needs.kept - before.kept if done > 1 else 0
        if self._needs.total + growth <= self._memory:
            return False
        promise = f"{self._promise / 2**20:.0f} MiB"
        self.note = f"{done} steps fill the {promise} that may be taken; --what-if-memory allows more"
        if done < FEWEST_WHAT_IF_STEPS:
            asked = self._needs.of_steps(done, FEWEST_WHAT_IF_STEPS) * self._promise // self._memory
            self._shortage = (
                f"--what-if-memory {promise} is below the {-(-asked // 2**20)} MiB that an answer from {FEWEST_WHAT_IF_STEPS} steps takes: "
                f"{self._needs.rerun / 2**20:.1f} MiB for one rerun of this network (weights, gradients, the optimizers' state, modules), "
                f"{self._needs.kept / done / 2**20:.2f} MiB for each step that is kept"
            )
        return True

    def _turn_over(self) -> None:
        """The stretch is complete: the next one begins with the next forward."""
        program = self.take()
        if program is None:
            return self.detach()
        self.complete = [*self.complete[:1], (program, self.built)]
        self._moves.begin_anew()
        self._constructions.begin_anew()
        self._backwards.begin_anew()

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
                    assert self._tape is not None
                    item = self._backwards.begin(args, kwargs, self._tape)
                result = original(*args, **kwargs)
                if item is not None and self._tape is not None:
                    with self._guarded():
                        self._backwards.end(item, result, self._step_number(), self._tape)
                return result
            finally:
                self._depth -= 1
                self.resume()

        return run_backward

    def _seeing_profilers(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def prepare(*args: Any, **kwargs: Any) -> Any:
            if self.is_open:
                self.refuse("the script profiles its operations, and would count those of the tape")
            return original(*args, **kwargs)

        return prepare

    def _seeing_scaled_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def step(scaler: Any, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
            if not self.is_open or not scaler.is_enabled():
                return original(scaler, optimizer, *args, **kwargs)
            self._moves.scaler, moved = scaler, self._moves.count
            try:
                result = original(scaler, optimizer, *args, **kwargs)
                if self._moves.count == moved and self.is_open:
                    self.pause()
                    with self._guarded():
                        self._note_move(optimizer)
                    self.resume()
                return result
            finally:
                self._moves.scaler = None

        return step

    # -- the result ---------------------------------------------------------------------------------------------------

    def take(self, fewest: int | None = None) -> Program | None:
        """Return the program; None where there is none, and ``refusal`` says why. The tape is gone then.

        Args:
            fewest: steps that it must have.
        """
        fewest = FEWEST_WHAT_IF_STEPS if fewest is None else fewest
        tape, self._tape = self._tape, None
        self.held_bytes += self._needs.total if tape is not None else 0
        if tape is None or self.refusal:
            self.refusal = self.refusal or "no forward with gradient was seen"
            return None
        steps = self._last_step - self._first_step
        if self._shortage:
            self.refusal, self.note = self._shortage, ""
            return None
        if tape.broken or steps < fewest:
            self.refusal = tape.broken or f"only {steps} steps were seen, and {fewest} are needed"
            return None
        taken = program_of(tape, self._moves.copies, self._first_step, steps, (self._random_state, self._last_random_state))
        if isinstance(taken, Program):
            return taken
        self.refusal = taken
        return None
