"""What was measured and waits: for its backward, and then for the end of its step.

A forward counts once a backward has gone through it. One that no backward follows (an evaluation with gradients enabled, a forward that
failed) is dropped when later backward calls have shown which forwards they belong to.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from bnprobe.measure.host_memory import copied
from bnprobe.measure.merge import merge
from bnprobe.measure.moments import Moments
from bnprobe.observe.signals.records import Pass, Tap, TapKey, batch_size_of, forwards_of, renumbered
from bnprobe.observe.steps.modes import Modes

#: Steps for which a forward is kept whose gradient has not come yet.
STEPS_TO_WAIT = 1
#: Bytes of complete micro-steps beyond which those of one signal are merged before the step ends.
MERGE_BYTES = 8 * 2**20
#: Bytes of a record beside its numbers, about.
RECORD_BYTES = 900


@dataclass
class _Waiting:
    taps: list[Tap]
    steps: int = 0


_NOTHING = _Waiting([])


@dataclass
class _Ran:
    """Modules of a forward that behave differently in training: calls in training mode and in evaluation, and each call's module."""

    counts: list[int] = field(default_factory=lambda: [0, 0])
    modules: list[weakref.ref[nn.Module]] = field(default_factory=list)


class Ledger:
    """Holds the measured signals of the open step."""

    def __init__(self) -> None:
        #: Bytes of forwards whose backward has not come.
        self.waiting_bytes = 0
        self._open: list[Tap] = []  # of the micro-step that is going on
        self._complete: list[Tap] = []  # of complete micro-steps
        self._complete_bytes = 0
        self._batch_size = 0
        # Forwards that the backward after them did not go through: another may (a generator's, after its critic's).
        self._waiting: dict[Pass, _Waiting] = {}
        self._modes: dict[Pass, _Ran] = {}
        # Models whose forwards made the last measured step, and their modules that behave differently in training, call by call.
        self._models: list[weakref.ref[nn.Module]] = []
        self._ran: list[weakref.ref[nn.Module]] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not (self._complete or self._open or self._waiting or self._modes)

    @property
    def is_idle(self) -> bool:
        """Whether nothing was measured that waits for a backward."""
        return not (self._open or self._waiting)

    def add(self, tap: Tap) -> None:
        """Take a measured signal of the micro-step that is going on."""
        self._open.append(tap)
        self.waiting_bytes += _size(tap)

    def note_mode(self, forward: Pass, module: weakref.ref[nn.Module], *, in_training: bool) -> None:
        """Count a module that behaves differently in training."""
        ran = self._modes.setdefault(forward, _Ran())
        ran.counts[not in_training] += 1
        ran.modules.append(module)

    def note_mode_of(self, forward: Pass, module: weakref.ref[nn.Module], in_training: bool) -> None:
        """The same, for a caller that names no arguments."""
        self.note_mode(forward, module, in_training=in_training)

    def end_micro_step(self, *, missed: bool = False) -> tuple[set[Pass], set[Pass]]:
        """A backward has run: keep the forwards it went through; return the forwards since the last one, and those it went through.

        Args:
            missed: whether forwards since the last backward were not measured, so that it may have gone through none of those that were.
        """
        taps, self._open = self._open, []
        passes = forwards_of(taps)
        live = forwards_of(tap for tap in taps if tap.is_gradient)
        waited: list[Tap] = []
        is_one = len(passes) == len(live) == 1 and not self._waiting  # as in most micro-steps: all of it stays
        if not is_one and (live or missed):  # otherwise all that was measured is frozen: there is nothing to tell by, and everything stays
            waited = [tap for forward in live for tap in self._waiting.pop(forward, _NOTHING).taps]
            for tap in taps:
                if tap.forward not in live:
                    self._waiting.setdefault(tap.forward, _Waiting([])).taps.append(tap)
            taps = [tap for tap in taps if tap.forward in live]
        self._batch_size += batch_size_of(taps)
        kept = renumbered(waited + taps)
        self._complete += kept
        self._complete_bytes += self.waiting_bytes if is_one else sum(map(_size, kept))
        if self._complete_bytes > MERGE_BYTES:
            self._complete = merged(self._complete)
            # What cannot be merged, signals of a single micro-step, is not tried again at each one.
            self._complete_bytes = min(sum(map(_size, self._complete)), MERGE_BYTES // 2)
        self._count_waiting()
        return passes, live

    def drop_micro_step(self) -> None:
        """A backward has failed: what it would have belonged to is no part of the step."""
        self._open.clear()
        self._count_waiting()

    def take(self) -> tuple[list[Tap], int, int]:
        """Return the taps of the step that ends, its samples, and how many forwards given up now were evaluations; start afresh."""
        taps, self._complete = self._complete, []
        if not taps:
            taps, self._open = renumbered(self._open), []  # stepped without a backward that we saw
            self._batch_size += batch_size_of(taps)
        batch_size, self._batch_size, self._complete_bytes = self._batch_size, 0, 0
        evaluations = self._give_up_waiting()
        self._count_waiting()
        return taps, batch_size, evaluations

    def take_modes(self, taps: Sequence[Tap], is_trained: Callable[[nn.Module], bool]) -> Modes | None:
        """Return in which mode the forwards of the step that ends ran, those of models that are trained; None where there was none."""
        if not (taps or self._modes):
            return None
        forwards = [one for one in forwards_of(taps) if (root := one.root()) is not None and is_trained(root)]
        ran = [self._modes.get(forward, _Ran()) for forward in forwards]
        self._modes = {forward: count for forward, count in self._modes.items() if forward in self._waiting}
        if not forwards:
            return None
        self._models = [forward.root for forward in forwards]
        self._ran = [module for one in ran for module in one.modules]
        training, evaluating = (sum(one.counts[mode] for one in ran) for mode in (0, 1))
        return Modes(training, evaluating, int(all(one.in_training for one in forwards)))

    def modes_now(self) -> Modes | None:
        """Return in which mode the forwards of the last measured step would run now; None where there was none, or it is gone."""
        models = [model for reference in self._models if (model := reference()) is not None]
        if not models:
            return None
        modes = [module.training for reference in self._ran if (module := reference()) is not None]
        training = sum(modes)
        return Modes(training, len(modes) - training, int(all(model.training for model in models)))

    def modes_of_modules(self) -> list[tuple[weakref.ref[nn.Module], bool]]:
        """Return the modules of which ``modes_now`` tells, and the mode of each."""
        alive = ((reference, reference()) for reference in (*self._ran, *self._models))
        return [(reference, module.training) for reference, module in alive if module is not None]

    def unfinished(self) -> list[Tap]:
        """Return what was measured since the last step, although no update followed."""
        return self._complete + renumbered(self._open)

    def _give_up_waiting(self) -> int:
        """Give up forwards whose gradient did not come within two steps; return how many of them were evaluations."""
        evaluations = 0
        for forward, waiting in list(self._waiting.items()):
            waiting.steps += 1
            if waiting.steps > STEPS_TO_WAIT:
                del self._waiting[forward]
                evaluations += not forward.in_training
        return evaluations

    def _count_waiting(self) -> None:
        waiting = (tap for one in self._waiting.values() for tap in one.taps)
        self.waiting_bytes = sum(map(_size, self._open)) + sum(map(_size, waiting))


def merged(taps: Iterable[Tap]) -> list[Tap]:
    """Merge what several micro-steps measured of one signal; the last one's statistics stay, which have seen the most."""
    found: dict[tuple[TapKey, bool, int], Tap] = {}
    for tap in taps:
        key = (tap.key, tap.is_gradient, tap.moments.channels)
        before = found.get(key)
        if before is None:
            found[key] = tap
            continue
        both = merge(_on_host(before.moments), _on_host(tap.moments))
        found[key] = before._replace(moments=both, statistics=tap.statistics or before.statistics)
    return list(found.values())


def _on_host(moments: Moments) -> Moments:
    packed = moments.packed
    if isinstance(packed, torch.Tensor):
        packed = copied(packed, torch.float64)
    return moments._replace(packed=packed)


def _size(tap: Tap) -> int:
    return RECORD_BYTES + tap.moments.packed.nbytes
