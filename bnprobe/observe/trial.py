"""A training that is a trial: its learning rates scaled, its seeds moved on, more changed, and ended as soon as its outcome is certain.

Rates are scaled where they are used, around every step, and put back before anyone else looks: whatever a scheduler writes into the
groups, each step is taken at the factor times that. Everything in an optimizer that is proportional to its rate scales with it, the
decoupled weight decay of AdamW included.
"""

from __future__ import annotations

import functools
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Protocol

import torch
from torch.optim.optimizer import Optimizer

from bnprobe.identity import IdentitySet
from bnprobe.observe.attaching.patches import Compilation, Patches
from bnprobe.observe.options import StopTraining
from bnprobe.observe.recorder import Recorder

#: Seeds of neighbouring trials are this far apart: far enough that a script that seeds epochs with seed + epoch does not meet them.
SEED_STRIDE = 1_000_003
#: Calls that seed are told up to so many: some scripts seed every epoch.
_MOST_SEEDS = 8


class Interventions(Protocol):
    """What else is changed about the training (``bnprobe.interventions``)."""

    def attach(self) -> None:
        """Begin; torch has just been imported."""

    def detach(self) -> None:
        """Change nothing any more."""

    def record(self) -> list[dict[str, Any]]:
        """What was changed, ready for JSON."""

    def is_in_vain(self) -> bool:
        """Whether there is nothing to change."""


class Trial:
    """A recording whose training is changed on purpose; it stands in for the recorder towards the process that runs the script.

    Args:
        recorder: records the training.
        factor: on every learning rate.
        seed: 0 leaves the script as it is.
        is_orphaned: asked at every step; true ends the trial at once, since nobody waits for it.
        interventions: what else is changed.
    """

    def __init__(
        self,
        recorder: Recorder,
        factor: float,
        seed: int,
        is_orphaned: Callable[[], bool],
        interventions: Interventions | None = None,
    ) -> None:
        self.scaled_steps = 0
        self._recorder = recorder
        self._factor = factor
        self._seed = seed
        self._is_orphaned = is_orphaned
        self._interventions = interventions
        self._patches = Patches()
        self._inside: IdentitySet[Optimizer] = IdentitySet()
        self._refused = False
        self._seeding: dict[str, None] = {}
        self._is_seeding = False

    def install(self) -> None:
        """Attach to torch, which has just been imported."""
        # Around the step hooks, so that the recorder finds the rates as they are used.
        Optimizer.profile_hook_step = staticmethod(self._scaling(Optimizer.profile_hook_step))  # type: ignore[method-assign]
        if self._seed:
            self._move_seeds(self._seed * SEED_STRIDE)
        if self._interventions is not None:
            self._interventions.attach()
        self._recorder.install()

    def flush(self) -> None:
        """Put on disk what is held in memory."""
        self._recorder.flush()

    def leave_off(self, ending: Any | None) -> None:
        """Write as if the process ended now; None: it did not."""
        if ending is not None:
            self._note_changes()
        self._recorder.leave_off(ending)

    def finish(self, ending: Any) -> None:
        """Close the file."""
        self._patches.undo()
        if self._interventions is not None:
            self._interventions.detach()
        self._note_changes()
        self._recorder.finish(ending)

    def abandon(self) -> None:
        """This is a forked child: leave the file alone."""
        self._recorder.abandon()

    @property
    def has_recorded(self) -> bool:
        """Whether the file holds something of this process."""
        return self._recorder.has_recorded

    @property
    def refusal(self) -> Exception | None:
        """Why the file holds nothing of this process, where the script was told."""
        return self._recorder.refusal

    @property
    def has_rows(self) -> bool:
        """Whether a step of this process has been taken down."""
        return self._recorder.has_rows

    def _note_changes(self) -> None:
        self._recorder.note_seeding(list(self._seeding))
        if self._interventions is not None:
            self._recorder.note_interventions(self._interventions.record())

    # -- learning rates -----------------------------------------------------------------------------------------------

    def _scaling(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap what torch puts around the ``step`` of every optimizer class when it is first used."""

        @functools.wraps(original)
        def profile_hook_step(function: Callable[..., Any]) -> Callable[..., Any]:
            hooked = original(function)

            def step(optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
                if optimizer in self._inside:  # a step that calls the step it inherits
                    return hooked(optimizer, *args, **kwargs)
                self._check_whether_to_go_on()
                with self._scaled(optimizer):
                    try:
                        return hooked(optimizer, *args, **kwargs)
                    except StopTraining:
                        self._refused = True
                        raise

            return functools.wraps(hooked)(_untraced(step))

        return profile_hook_step

    @contextmanager
    def _scaled(self, optimizer: Optimizer) -> Iterator[None]:
        before = [(group, group.get("lr")) for group in optimizer.param_groups]
        # A tensor is multiplied as a copy: schedulers write into it, and several groups may share it.
        during = [rate if rate is None or self._factor == 1.0 else rate * self._factor for _, rate in before]
        self._inside.add(optimizer)
        for (group, _), scaled in zip(before, during, strict=True):
            if scaled is not None:
                group["lr"] = scaled
        try:
            yield
            self.scaled_steps += any(rate is not None for rate in during)
        finally:
            self._inside.pop(optimizer)
            for (group, rate), scaled in zip(before, during, strict=True):
                if group.get("lr") is scaled:
                    group["lr"] = rate
                elif scaled is not None:  # the optimizer has set its own rate, from the one that it found
                    group["lr"] = group["lr"] / self._factor

    def _check_whether_to_go_on(self) -> None:
        is_in_vain = self._interventions is not None and self._interventions.is_in_vain()
        if self._refused or is_in_vain:  # the script has caught what was to stop it, and trains on; or there is nothing to change
            self.finish(SimpleNamespace(status="stopped", detail="the trial is over", exit_status=0))
        if self._refused or is_in_vain or self._is_orphaned():
            os._exit(0)

    # -- seeds --------------------------------------------------------------------------------------------------------

    def _move_seeds(self, offset: int) -> None:
        """Give the global generators another start, now and at every later call that seeds them.

        A generator that the script makes for itself, to split its data, say, keeps its seed.
        """
        random.seed(offset)
        torch.manual_seed(offset)
        owners: list[tuple[Any, str]] = [
            (torch, "manual_seed"),
            (torch.random, "manual_seed"),
            (torch.cuda, "manual_seed"),
            (torch.cuda, "manual_seed_all"),
            (random, "seed"),
        ]
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            numpy.random.seed(offset)
            owners.append((numpy.random, "seed"))
        for owner, name in owners:
            self._patches.replace(owner, name, functools.partial(self._moving, f"{owner.__name__}.{name}", offset))

    def _moving(self, called: str, offset: int, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def seed(*args: Any, **kwargs: Any) -> Any:
            name = next((key for key in ("seed", "a") if key in kwargs), None)
            given = kwargs[name] if name is not None else args[0] if args else None
            if self._is_seeding or not isinstance(given, int):  # torch.manual_seed seeds the devices as well
                return original(*args, **kwargs)
            moved = (given + offset) % 2**32  # what numpy accepts
            if len(self._seeding) < _MOST_SEEDS:
                self._seeding[f"{called}({given}) was {called}({moved})"] = None
            self._is_seeding = True
            try:
                return original(*args, **{**kwargs, name: moved}) if name is not None else original(moved, *args[1:], **kwargs)
            finally:
                self._is_seeding = False

        return seed


def _untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep torch.compile from tracing into a function of ours, at no cost to a script that does not use it."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (disabled() if Compilation.in_use else function)(*args, **kwargs)

    @functools.cache
    def disabled() -> Callable[..., Any]:
        wrapped: Callable[..., Any] = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
        return wrapped

    return call
