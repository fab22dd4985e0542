"""Line probes of a live training: after an optimizer's step, how much further along the same update could it have gone?

At a probe step the forward is taped (``tape``), the weights that the loss depends on are copied before the optimizer moves them, and after
it has moved them the loss of the same batch is computed again (``replay``) at theta + s d, d being the update that was really taken; then
once more with d projected as remedies would. The training sees none of this.

What is probed is the loss of the step's last backward. Optimizers that step in a row on one loss move together: the probe after the last of
them follows the update of all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from bnprobe.identity import OwnReference
from bnprobe.measure.layout import Layout
from bnprobe.measure.line_search import MOST_FORWARDS, LineProbe, ratio_of, search_line
from bnprobe.observe.attaching.optimizers import Optimizer, trained_parameters
from bnprobe.observe.axes.axes import Axes
from bnprobe.observe.faults import Faults, let_through
from bnprobe.observe.instruments.parameter_groups import group_settings
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.observe.probes.audit import Audit
from bnprobe.observe.probes.probe_channels import Point, Signal, Signals, rows
from bnprobe.observe.probes.replay import Replay, ReplayError
from bnprobe.observe.probes.tape import UNSEEN, Slot, Tape
from bnprobe.observe.probes.taping import Taping
from bnprobe.observe.signals.records import Tap
from bnprobe.originals import Original
from bnprobe.remedies.projections import Projection, update_projections
from bnprobe.remedies.scope import Scope
from bnprobe.store.writer import RunWriter
from bnprobe.torch_private import answers_itself, holds_numbers, in_backward, user_modes_disabled

#: The update as the optimizer took it.
TAKEN = "taken"
#: Why there is no tape.
NO_FORWARD = "no forward with gradient was seen before the backward: compiled code, or a model checkpointed as a whole"
#: Variants of an update whose lines are drawn.
DRAWN = (TAKEN, "msr")
#: Where a line that is drawn ends, in steps as taken, if it does not diverge before; the decades that are drawn, and the points of each.
LONGEST, DECADES, DECADE = 10.0, 4, 4
#: Relative error of a replay that is rounding: another order of the same sums.
ROUNDING = 1e-4


@dataclass
class _Descended:
    """A loss that a backward has started from."""

    tape: Tape
    slots: list[Slot]
    values: list[torch.Tensor]
    scale: torch.Tensor | None
    replay: Replay | None = None

    def total(self, losses: Sequence[torch.Tensor]) -> float:
        return float(sum(loss.double().sum() for loss in losses)) / (float(self.scale) if self.scale is not None else 1.0)


@dataclass
class _Update:
    """An update that is about to be made, or has been."""

    descended: _Descended
    rate: float
    before: dict[int, torch.Tensor] = field(default_factory=dict)
    references: list[OwnReference[torch.Tensor]] = field(default_factory=list)

    @property
    def moved(self) -> list[torch.Tensor]:
        """The weights that move: held weakly, for the script may let them go when they have."""
        return [parameter for reference in self.references if (parameter := reference()) is not None]


class LineProbing:
    """Probes the steps it is told to.

    Args:
        writer: where the probes go.
        tree: the modules, for the projections that remedies make.
        faults: where a fault goes.
        on_forward: called when a forward with gradient begins: the step before it is over.
        say: told, once, what a probe costs.
        optimizers: those that exist: what none of them has still to move is let go.
        channels: measure every channel at every point.
        audit: what looks at a tape at the steps of an audit; None where none was asked for.
        figures: which figures are drawn of a line: more points are evaluated for "line" and for "update".
    """

    def __init__(
        self,
        writer: RunWriter,
        tree: ModuleTree,
        faults: Faults,
        on_forward: Callable[[], None],
        say: Callable[[str], None],
        optimizers: Callable[[], Sequence[Optimizer]] = tuple,
        channels: bool = False,
        audit: Audit | None = None,
        figures: Sequence[str] = (),
    ) -> None:
        self._figures = frozenset(figures)
        self.seconds = 0.0
        self._audit = audit
        self._audited = self._next_is_audited = self._next_is_followed = False
        self._writer = writer
        self._tree = tree
        self._faults = faults
        self._taping = Taping(on_forward, self._is_forward_wanted, self._begin_tape, self._give_up_on_fault)
        self._say = say
        self._optimizers = optimizers
        self._channels = channels
        self._rows: list[tuple[list[Point], dict[str, Any]]] = []
        self._probed = self._next_is_probed = self._followed = False
        self._losses: dict[frozenset[int], _Descended] = {}
        self._updates: dict[int, _Update] = {}
        self._reason = ""
        self._said = False

    # -- the step's course --------------------------------------------------------------------------------------------

    def prepare(self, is_followed: bool, is_audited: bool = False) -> None:
        """Say whether the next step's update is to be followed, its forward audited; the open one may have an optimizer to come."""
        self._next_is_probed = is_followed or is_audited
        self._next_is_followed, self._next_is_audited = is_followed, is_audited
        if self._next_is_probed:
            self._taping.attach()

    def begin_step(self) -> None:
        """The step is over and the next one begins: forget it. A step that is not probed costs nothing."""
        self._forget()
        self._taping.reason = self._reason = ""
        self._probed, self._next_is_probed = self._next_is_probed, False
        self._followed, self._next_is_followed = self._next_is_followed, False
        self._audited, self._next_is_audited = self._next_is_audited, False
        if not self._probed:
            self.detach()

    def _forget(self) -> None:
        self._taping.forget()
        self._losses.clear()
        self._updates.clear()

    def detach(self) -> None:
        """Leave torch alone."""
        self._taping.detach()

    def aside(self) -> AbstractContextManager[None]:
        """Step aside while compiled code runs."""
        return self._taping.aside()

    def shadowing(self, module: torch.nn.Module) -> AbstractContextManager[None]:
        """A compiled module is repeated eagerly: tape that in its place."""
        return self._taping.shadowing(module)

    def shadowed(self, output: torch.Tensor, repeated: torch.Tensor) -> None:
        """Say which of a compiled module's outputs its repetition stands for."""
        self._taping.shadowed(output, repeated)

    def _is_forward_wanted(self) -> bool:
        # What a closure computes when its optimizer has begun to move is not the loss that the step began with.
        return self._probed and not self._updates

    def _begin_tape(self, tape: Tape, args: Any) -> None:
        if self._audited and self._audit is not None:
            with user_modes_disabled():
                self._audit.begin(tape, args)

    def _give_up_on_fault(self, error: Exception) -> None:
        self._probed = False
        self._faults.report("a line probe", error)

    def note_signal(self, tap: Tap, signal: torch.Tensor, layout: Layout) -> None:
        """The forward taps have measured a signal: it will be measured at every point."""
        tape = self._taping.tape
        if self._taping.is_running and tape is not None and (self._channels or self._audited):
            tape.mark(signal, Signal(tap, layout))

    def deliver(self, axes: Axes) -> None:
        """Write what was found at the step that has been closed: its layers have their places now."""
        if self._audit is not None:
            self._audit.deliver(axes)
        waiting, self._rows = self._rows, []
        for points, columns in waiting:
            self._writer.add_probe(rows(points, axes), **columns)

    def before_backward(self, losses: Sequence[torch.Tensor], scale: torch.Tensor | None) -> None:
        """A backward begins."""
        if not self._probed:
            return
        self._taping.pause()
        tape = self._taping.tape
        if tape is None:
            self._reason = self._reason or self._taping.reason or NO_FORWARD
            return
        with self._guarded():
            if any(answers_itself(loss) or not holds_numbers(loss) for loss in losses):
                self._reason = "the loss holds no numbers of its own: a tensor that dispatches its operations itself, or has none"
                return
            if not losses or any(loss.numel() != 1 for loss in losses):
                self._reason = "backward started from a tensor that is not one number"
                return
            slots = [tape.find(loss) for loss in losses]
            if any(slot is None for slot in slots):
                self._reason = tape.broken or UNSEEN
                return
            found = [slot for slot in slots if slot is not None]
            values = [loss.detach().clone() for loss in losses]
            same = next((one for one in self._losses.values() if one.tape is tape), None)
            if same is not None:  # several backwards from one forward add up
                same.slots += found
                same.values += values
                descended = same
                self._losses = {key: one for key, one in self._losses.items() if one is not same}
            else:
                descended = _Descended(tape, found, values, scale)
            try:
                descended.replay = Replay(tape, descended.slots)
            except ReplayError as error:
                let_through(error)
                self._reason = str(error)
                return
            self._losses[frozenset(id(parameter) for parameter in descended.replay.parameters)] = descended
            if self._audited and self._audit is not None:
                self._audited = False
                self._audit.look(tape, descended.slots, descended.values, descended.total)
            if not self._followed:
                self._forget()

    def before_update(self, optimizer: Optimizer) -> None:
        """Gradients are ready and weights have not moved: copy them."""
        self._taping.pause()
        if not self._followed:
            return
        if in_backward():
            self._reason = "the optimizer steps inside backward"
            return
        with self._guarded():
            held = {id(parameter) for parameter in trained_parameters(optimizer.param_groups)}
            descended = self._loss_of(held)
            if descended is None or descended.replay is None:
                return
            if not all(holds_numbers(parameter) for parameter in descended.replay.parameters):
                self._reason = "a weight is no plain tensor: sparse, sharded, or without numbers of its own"
                return
            update = _Update(descended, float(group_settings(optimizer.param_groups[0]).rate))
            for earlier in self._updates.values():
                update.before.update(earlier.before)
                if earlier.descended is descended:
                    update.references += earlier.references
            for parameter in descended.replay.parameters:
                if id(parameter) in held:
                    update.references.append(OwnReference(parameter))
                    update.before[id(parameter)] = parameter.detach().clone()
            self._updates[id(optimizer)] = update

    def after_update(self, optimizer: Optimizer, step: int) -> None:
        """The weights have moved: probe."""
        if not (self._probed and self._followed):
            return
        with self._guarded():
            update = self._updates.get(id(optimizer))
            common = {"probe_step": step, "probe_optimizer": type(optimizer).__name__}
            if update is None:
                self._give_up(common, self._reason or self._taping.reason or "no loss was seen that depends on what the optimizer trains")
                return
            common["probe_learning_rate"] = update.rate
            try:
                self._probe(update, common)
            except ReplayError as error:
                let_through(error)
                self._give_up(common, str(error))
            except torch.OutOfMemoryError as error:
                let_through(error)
                self._give_up(common, "there was not enough memory to compute the loss again")
            if not self._is_awaited():
                # The script may let all of it go now; what is ours of it goes, too.
                self._probed = self._followed = False
                self._forget()

    def no_update(self, step: int, optimizer: str, reason: str) -> None:
        """The step ends without an update that could be followed."""
        if self._probed and self._followed:
            self._give_up({"probe_step": step, "probe_optimizer": optimizer}, reason)

    # -- probing ------------------------------------------------------------------------------------------------------

    def _loss_of(self, held: set[int]) -> _Descended | None:
        """Return the last loss that depends on nothing but what an optimizer trains, or else on some of it."""
        own = [one for key, one in self._losses.items() if key and key <= held]
        shared = [one for key, one in self._losses.items() if key & held]
        return next(reversed(own or shared), None)

    def _is_awaited(self) -> bool:
        """Whether some optimizer has still to move what a loss of this step depends on."""
        moved = {id(parameter) for update in self._updates.values() for parameter in update.moved}
        trained = {id(p) for optimizer in self._optimizers() for p in trained_parameters(optimizer.param_groups)}
        return any(key & trained - moved for key in self._losses)

    def _probe(self, update: _Update, common: dict[str, Any]) -> None:
        descended, replay = update.descended, update.descended.replay
        assert replay is not None
        loss, error, first = self._replayed(update)
        line = _Line(update)
        if line.is_still:
            raise ReplayError("the optimizer did not move what the loss depends on")
        variants: dict[str, Mapping[int, Projection]] = {TAKEN: {}, **self._projections(update)}
        if not self._said:
            self._said = True
            text = f"a line probe computes the loss up to {MOST_FORWARDS} times more"
            if len(variants) > 1:
                others = " and again ".join(
                    f"up to {MOST_FORWARDS - 1} times with {name}'s projection" for name in variants if name != TAKEN
                )
                text += f", and again {others}"
            self._say(text)
        for name, projections in variants.items():
            began = Original.perf_counter()
            points: list[Point] = [({"probe_point_s": 0.0, "probe_point_ratio": 1.0}, first)]
            evaluate = partial(self._evaluate, replay, descended, partial(line.at, projections=projections), points)
            probe = search_line(evaluate, loss)
            ratios = dict(probe.points)
            for s in self._further_points(probe, name):
                ratios[s] = ratio_of(evaluate(s), loss)
            for point, _ in points[1:]:
                point["probe_point_ratio"] = ratios[point["probe_point_s"]]
            self._store(probe, points, {**common, "probe_variant": name, "probe_replay_error": error}, began)

    def _further_points(self, probe: LineProbe, variant: str) -> list[float]:
        """Return where else a line is evaluated, for figures that need it at equal distances: in tenths of the step, and of a decade."""
        wanted = {k / 10 for k in range(1, 11)} if "update" in self._figures and variant == TAKEN else set()
        if "line" in self._figures and variant in DRAWN:
            end = probe.divergence[1] if math.isfinite(probe.divergence[1]) else LONGEST
            wanted |= {end * 10 ** (-k / DECADE) for k in range(DECADES * DECADE + 1)}
        return sorted(wanted - {s for s, _ in probe.points})

    def _evaluate(
        self, replay: Replay, descended: _Descended, at: Callable[[float], dict[int, torch.Tensor]], points: list[Point], s: float
    ) -> float:
        """Compute the loss at a point, and note the point."""
        signals = Signals() if self._channels else None
        points.append(({"probe_point_s": s}, signals))
        return descended.total(replay.losses(at(s), signals.take if signals is not None else None))

    def _replayed(self, update: _Update) -> tuple[float, float, Signals | None]:
        """Compute the loss at s = 0, which must be the one that was descended; return it with its relative error, and the signals there."""
        descended = update.descended
        assert descended.replay is not None
        signals = Signals() if self._channels else None
        replayed = descended.replay.losses(dict(update.before), signals.take if signals is not None else None)
        descended_loss, loss = descended.total(descended.values), descended.total(replayed)
        if not math.isfinite(descended_loss) or descended_loss == 0.0:
            raise ReplayError(f"the loss is {descended_loss:g}: there is no ratio to it")
        if all(torch.equal(a, b) for a, b in zip(replayed, descended.values, strict=True)):
            return loss, 0.0, signals
        error = abs(loss - descended_loss) / abs(descended_loss)
        if not error <= ROUNDING:
            raise ReplayError(f"computed again at the same weights the loss is {loss:.9g}, not {descended_loss:.9g}")
        return loss, error, signals

    def _projections(self, update: _Update) -> dict[str, dict[int, Projection]]:
        """Return those projections that would change this update."""
        found = update_projections(Scope(self._tree.roots(), update.moved))  # type: ignore[arg-type]
        moved = {id(parameter): parameter for parameter in update.moved}
        return {name: by_id for name, by_id in found.items() if any(key in moved for key in by_id)}

    def _store(self, probe: LineProbe, points: list[Point], columns: dict[str, Any], began: float) -> None:
        found = {
            "probe_loss": probe.loss,
            "probe_critical_low": probe.critical[0],
            "probe_critical_high": probe.critical[1],
            "probe_divergence_low": probe.divergence[0],
            "probe_divergence_high": probe.divergence[1],
            "probe_forwards": probe.forwards,
            "probe_seconds": Original.perf_counter() - began,
        }
        self._rows.append((sorted(points, key=lambda point: point[0]["probe_point_s"]), {**columns, **found}))

    def _give_up(self, columns: dict[str, Any], reason: str) -> None:
        self._rows.append(([], {**columns, "probe_variant": TAKEN, "probe_reason": reason}))
        self._writer.add_coverage("a line probe", reason)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """What is done in here is ours: unseen by the script, timed, and a fault of it ends the probe and not the training."""
        began = Original.perf_counter()
        try:
            with user_modes_disabled(), torch.no_grad():
                yield
        except Exception as error:
            self._give_up_on_fault(error)
        self.seconds += Original.perf_counter() - began


class _Line:
    """The weights theta + s d."""

    def __init__(self, update: _Update) -> None:
        self._before = update.before
        self._moved = update.moved
        self.is_still = all(torch.equal(update.before[id(p)], p) for p in update.moved)

    def at(self, s: float, projections: Mapping[int, Projection]) -> dict[int, torch.Tensor]:
        """Return the weights by id of the parameter, those included that others have moved since the loss was computed."""
        weights = {key: before for key, before in self._before.items()}
        for parameter in self._moved:
            before = weights[id(parameter)]
            # In float64, so that s = 1 is where the optimizer went, to the last bit of a float32.
            wide = torch.complex128 if before.is_complex() else torch.float64
            step = parameter.detach().to(wide) - before.to(wide)
            project = projections.get(id(parameter))
            step = step if project is None else project(step)
            weights[id(parameter)] = step.mul_(s).add_(before).to(before.dtype)
        return weights
