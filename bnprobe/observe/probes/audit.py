"""What normalisation costs a live training: its forward computed again from its tape, as evaluation would, and with other samples.

Just before the script's own backward the taped forward (``tape``) is executed again, below autograd and without touching the model:

- as it was: the loss must be the one that is about to be descended; operations are timed;
- with every batch norm on its running statistics, and then without dropout, too: what evaluation makes of the same batch;
- without dropout alone: what the batch norms behind it would have received;
- with the first sample exchanged for the last: what that does to the others, who are none of its business.

Dropout is known by what it executes: a mask drawn at random, divided by the share that is kept, and multiplied. Norms that a script writes
out in elementary operations are not known as such.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch

from bnprobe.measure.normalisation import distance, statistics_gap
from bnprobe.measure.transfer import Transfer
from bnprobe.observe.axes.axes import Axes
from bnprobe.observe.faults import let_through
from bnprobe.observe.modules.kinds import examine
from bnprobe.observe.probes.operation_kinds import found, operation_name
from bnprobe.observe.probes.replay import Replay, ReplayError, valued
from bnprobe.observe.probes.tape import Constant, Operation, Slot, Tape, may_alias
from bnprobe.observe.signals.records import OUTPUT, Tap, TapKey
from bnprobe.originals import Original
from bnprobe.store.writer import RunWriter

#: Samples whose signals are compared: more would cost memory, and say the same.
SAMPLES = 8
#: Relative error of a replay that is rounding: another order of the same sums.
ROUNDING = 1e-4
SUBJECT = "an audit"
#: Operations that normalise, and how many statistics each takes of an input, by its arguments.
_BATCH = {"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "_native_batch_norm_legit", "_batch_norm_with_update"}
_NORMS = _BATCH | {"native_layer_norm", "native_group_norm", "_fused_rms_norm"}
#: Places of a batch norm's running mean, and of the flag that it takes the batch's own statistics.
_RUNNING_MEAN, _TRAINING = 3, 5
#: What a replay does otherwise.
Change = Literal["batch norm on running statistics", "no dropout"]


class Audit:
    """Audits the steps it is told to.

    Args:
        writer: where its rows go.
        step: tells the number of the open step.
    """

    def __init__(self, writer: RunWriter, step: Callable[[], int]) -> None:
        self._writer = writer
        self._step = step
        self._row: dict[str, Any] | None = None
        self._values: dict[str, dict[TapKey, float]] = {}

    def begin(self, tape: Tape, args: Any) -> None:
        """A forward begins on a new tape: follow its data."""
        for tensor in found(torch.Tensor, list(args)):
            if type(tensor) is torch.Tensor and tensor.layout is torch.strided and tensor.dim():  # a subclass may count what is asked
                tape.follow(tensor)

    def look(
        self, tape: Tape, slots: Sequence[Slot], values: Sequence[torch.Tensor], total: Callable[[Sequence[torch.Tensor]], float]
    ) -> None:
        """The script goes backward now: compute its forward again.

        Args:
            tape: the forward.
            slots: the losses on it.
            values: the losses that are about to be descended.
            total: makes one number of losses.
        """
        began = Original.perf_counter()
        self._row = {"audit": self._step(), "audit_reason": ""}
        self._values = {}
        try:
            self._measure(Forward(tape, slots), values, total)
        except (ReplayError, torch.OutOfMemoryError) as error:
            let_through(error)
            reason = str(error) if isinstance(error, ReplayError) else "there was not enough memory to compute the forward again"
            self._row, self._values = {"audit": self._step(), "audit_reason": reason}, {}
            self._writer.add_coverage(SUBJECT, reason)
        self._row["audit_seconds"] = Original.perf_counter() - began

    def deliver(self, axes: Axes) -> None:
        """Write what was found at the step that has been closed: its layers have their places now."""
        row, self._row = self._row, None
        if row is None:
            return
        for name, by_key in self._values.items():
            column = [math.nan] * self._writer.layer_count
            for key, value in by_key.items():
                place = axes.place(key)
                if place is not None:
                    column[place] = value
            row[name] = column
        self._values = {}
        self._writer.append_audit(row)

    def _measure(self, forward: Forward, values: Sequence[torch.Tensor], total: Callable[[Sequence[torch.Tensor]], float]) -> None:
        assert self._row is not None
        descended, plain = total(values), forward.run()
        again = total(plain.losses)
        if not math.isfinite(descended):
            raise ReplayError(f"the loss is {descended:g}")
        error = abs(again - descended) / max(abs(descended), 1e-300)
        if not error <= ROUNDING:
            raise ReplayError(f"computed again the loss is {again:.9g}, not {descended:.9g}")
        self._row |= {"audit_loss": descended, "audit_replay_error": error}
        running = forward.run("batch norm on running statistics") if forward.has_running_statistics else plain
        self._row["audit_loss_running"] = total(running.losses)
        evaluated = running
        if forward.drops:
            evaluated = forward.run("batch norm on running statistics", "no dropout")
            undropped = forward.run("no dropout")
            self._values["audit_dropout_gap"] = {
                key: statistics_gap(*plain.statistics[key], *undropped.statistics[key]) for key in forward.behind_dropout()
            }
        self._row["audit_loss_evaluation"] = total(evaluated.losses)
        deviations = forward.deviations()
        self._values["audit_evaluation_gap"] = _distances(running, plain, deviations)
        self._values |= {"audit_values": forward.values, **forward.shares()}
        if (exchanged := forward.exchanged()) is not None:
            others = forward.run(inputs=exchanged)
            self._row["audit_samples"] = forward.samples
            self._values["audit_coupling"] = _distances(others, plain, deviations)


class _Owner(NamedTuple):
    """A norm that holds modules: after how many operations a call of it ended, and the key of what that gave."""

    place: int
    key: TapKey


class Executed:
    """What one execution of a forward gave.

    Attributes:
        losses: its losses.
        signals: signals of the first samples, the exchanged one left out, by key of the tap.
        statistics: mean and variance of what each batch norm received, by key of its output.
    """

    def __init__(self) -> None:
        self.losses: list[torch.Tensor] = []
        self.signals: dict[TapKey, torch.Tensor] = {}
        self.statistics: dict[TapKey, tuple[torch.Tensor, torch.Tensor]] = {}


class Forward(Replay):
    """A taped forward that can be executed with changes.

    Args:
        tape: what was executed.
        losses: the slots of its losses.

    Attributes:
        samples: of the batch; 0 where the data have no common first axis.
        drops: whether it drops values at random.
        has_running_statistics: whether a batch norm took statistics of the batch and keeps running ones.
        values: values behind each statistic of a norm, by key of its output.

    Raises:
        ReplayError: a part of it was not seen, or cannot be executed again.
    """

    def __init__(self, tape: Tape, losses: Sequence[Slot]) -> None:
        super().__init__(tape, losses)
        self._taps: dict[TapKey, Tap] = {mark.note.tap.key: mark.note.tap for mark in tape.marks}
        self._key_of = {mark.slot: mark.note.tap.key for mark in reversed(tape.marks) if mark.note.tap.key.role == OUTPUT}
        self._owners = _owners(tape)
        self._masks = _masks(self._operations)
        self._data = [one for one in self.inputs.values() if one.tensor.dim()]
        sizes = {one.tensor.shape[0] for one in self._data}
        self.samples = sizes.pop() if len(sizes) == 1 else 0
        self.drops = any(_drops(operation, self._masks) for operation in self._operations)
        self.has_running_statistics = any(_takes_batch(operation) for operation in self._operations)
        self.values: dict[TapKey, float] = {}
        self._seconds: dict[int, float] = {}
        self._bytes: dict[int, int] = {}
        self._changes: frozenset[Change] = frozenset()
        self._executed = Executed()

    def run(self, *changes: Change, inputs: Mapping[int, torch.Tensor] | None = None) -> Executed:
        """Execute it.

        Args:
            changes: what is done otherwise.
            inputs: other data, by ``id`` of the tensor they stand for.
        """
        self._changes, self._executed = frozenset(changes), Executed()
        self._executed.losses = self.losses(dict(inputs or {}), self._keep)
        return self._executed

    def exchanged(self) -> dict[int, torch.Tensor] | None:
        """Return data in which the first sample is another copy of the last; None where there are no two samples."""
        if self.samples < 2:
            return None
        found = {}
        for one in self._data:
            data = one.tensor.detach().clone()
            data[0] = data[-1]
            found[id(one.tensor)] = data
        return found

    def deviations(self) -> dict[TapKey, float]:
        """Return the deviation of every signal around its channels' means, over the whole batch."""
        packed = Transfer([tap.moments.packed for tap in self._taps.values()]).result()
        taps = zip(self._taps.items(), packed, strict=True)
        return {key: float(tap.moments._replace(packed=one).variance.mean()) ** 0.5 for (key, tap), one in taps}

    def behind_dropout(self) -> list[TapKey]:
        """Return the batch norms whose input depends on something that was dropped."""
        touched: set[Slot] = set()
        found: list[TapKey] = []
        for operation in self._operations:
            if _drops(operation, self._masks) or any(slot in touched for slot in operation.reads):
                touched.update(slot for slot in (*operation.outputs, *operation.writes) if slot is not None)
                if _takes_batch(operation) and operation.arguments[0] in touched and (key := self._key(operation)) is not None:
                    found.append(key)
        return found

    def shares(self) -> dict[str, dict[TapKey, float]]:
        """Return the share of each norm in the time of all operations, and in what they gave out."""
        seconds, given = sum(self._seconds.values()), sum(self._bytes.values())
        time: dict[TapKey, float] = {}
        memory: dict[TapKey, float] = {}
        for operation in self._operations:
            key = self._key(operation) if operation_name(operation.function) in _NORMS else None
            if key is not None:
                time[key] = time.get(key, 0.0) + self._seconds[operation.place] / max(seconds, 1e-12)
                memory[key] = memory.get(key, 0.0) + self._bytes[operation.place] / max(given, 1)
        return {"audit_time": time, "audit_memory": memory}

    def _key(self, operation: Operation) -> TapKey | None:
        """Return the key of what a norm gives: that of the module whose weights or statistics it reads, else that of its signal."""
        owners = (owner for slot in operation.reads for owner in self._owners.get(slot, ()))
        ended = min((owner for owner in owners if owner.place > operation.place), key=lambda owner: owner.place, default=None)
        if ended is not None:
            return ended.key
        return next((self._key_of[slot] for slot in operation.outputs if slot is not None and slot in self._key_of), None)

    def _keep(self, note: Any, value: torch.Tensor) -> None:
        """Keep a signal of the samples that are compared."""
        axis = note.layout.sample % max(value.dim(), 1)
        if self.samples > 1 and not note.layout.is_single and value.dim() and value.shape[axis] == self.samples:
            self._executed.signals[note.tap.key] = value.narrow(axis, 1, min(SAMPLES, self.samples - 1)).clone()
        elif not self.samples and value.dim():
            self._executed.signals[note.tap.key] = value.narrow(axis, 0, min(SAMPLES, value.shape[axis])).clone()

    def _execute(self, operation: Operation, values: dict[Slot, Any]) -> Any:
        name = operation_name(operation.function)
        if "no dropout" in self._changes and _drops(operation, self._masks):
            return self._undropped(operation, values)
        if name in _NORMS:
            self._note_norm(operation, name, values)
        if "batch norm on running statistics" in self._changes and _takes_batch(operation):
            arguments = list(operation.arguments)
            arguments[_TRAINING] = False
            changed = Operation(operation.function, tuple(arguments), operation.keywords, operation.outputs, operation.reads)
            if name in ("cudnn_batch_norm", "miopen_batch_norm", "_batch_norm_with_update"):
                return _normalised(changed, values)
            return super()._execute(changed, values)
        began = _now(values, operation)
        result = super()._execute(operation, values)
        seconds = _now(values, operation) - began
        self._seconds[operation.place] = min(seconds, self._seconds.get(operation.place, math.inf))
        self._bytes[operation.place] = _given(operation, result)
        return result

    def _note_norm(self, operation: Operation, name: str, values: dict[Slot, Any]) -> None:
        key = self._key(operation)
        signal = valued(operation.arguments[0], values)
        if key is None:
            return
        if name in _BATCH:
            self.values[key] = signal.numel() / signal.shape[1]
            variance, mean = torch.var_mean(signal.double(), dim=[axis for axis in range(signal.dim()) if axis != 1], correction=0)
            self._executed.statistics[key] = (mean, variance)
        elif name == "native_group_norm":
            self.values[key] = signal.numel() / (signal.shape[0] * int(operation.arguments[6]))
        else:
            self.values[key] = float(math.prod(operation.arguments[1]))

    def _undropped(self, operation: Operation, values: dict[Slot, Any]) -> Any:
        if operation_name(operation.function) == "native_dropout":
            signal = valued(operation.arguments[0], values)
            return signal.clone(), torch.ones_like(signal, dtype=torch.bool)
        kept = next(one for one in operation.arguments if not (isinstance(one, Slot) and one in self._masks))
        signal = valued(kept, values)
        return signal if operation.writes else signal.clone()


def _owners(tape: Tape) -> dict[Slot, list[_Owner]]:
    """Return the norms that hold modules of their own, by the slots of their weights and statistics.

    What such a module normalises goes on inside it, and has there the name of the activation that it holds, say.
    """
    found: dict[Slot, list[_Owner]] = {}
    for mark in tape.marks:
        key: TapKey = mark.note.tap.key
        module = key.module()
        if module is None or key.role != OUTPUT or not module._modules or examine(module).kind != "normalisation":
            continue
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None and (slot := tape.known_slot(tensor)) is not None:
                found.setdefault(slot, []).append(_Owner(mark.place, key))
    return found


def _masks(operations: Sequence[Operation]) -> set[Slot]:
    """Return the slots that hold a mask of dropout: drawn at random, then divided by the share that is kept."""
    drawn: set[Slot] = set()
    divided: set[Slot] = set()
    for operation in operations:
        name, target = operation_name(operation.function), operation.arguments[0] if operation.arguments else None
        made = {slot for slot in operation.outputs if slot is not None}
        if name.startswith("bernoulli"):
            drawn |= made | ({target} if isinstance(target, Slot) and name.endswith("_") else set())
        elif name in ("div_", "div") and isinstance(target, Slot) and target in drawn:
            divided |= made | ({target} if name == "div_" else set())
    return divided


def _drops(operation: Operation, masks: set[Slot]) -> bool:
    name = operation_name(operation.function)
    if name == "native_dropout":
        return bool(operation.arguments[2]) if len(operation.arguments) > 2 else True
    operands = [one for one in operation.arguments if isinstance(one, Slot | Constant)]
    return name in ("mul", "mul_") and len(operands) == 2 and sum(isinstance(one, Slot) and one in masks for one in operands) == 1


def _takes_batch(operation: Operation) -> bool:
    """Whether an operation is a batch norm on the batch's own statistics that keeps running ones."""
    arguments = operation.arguments
    if operation_name(operation.function) not in _BATCH or len(arguments) <= _TRAINING:
        return False
    return isinstance(arguments[_RUNNING_MEAN], Slot | Constant) and (arguments[_TRAINING] is True)


def _normalised(operation: Operation, values: dict[Slot, Any]) -> tuple[torch.Tensor, ...]:
    """Normalise by running statistics, where the operation itself has no such mode or one of another shape."""
    signal, weight, bias, mean, variance = (valued(one, values) for one in operation.arguments[:5])
    epsilon = float(operation.arguments[-1])
    result = torch.nn.functional.batch_norm(signal, mean, variance, weight, bias, False, 0.0, epsilon)
    return (result,)


def _given(operation: Operation, result: Any) -> int:
    """Return the bytes of an operation's new tensors."""
    if may_alias(operation.function):
        return 0
    results = result if isinstance(result, list | tuple) else (result,)
    new = (one for one, slot in zip(results, operation.outputs, strict=False) if slot is not None and isinstance(one, torch.Tensor))
    return sum(one.numel() * one.element_size() for one in new)


def _distances(one: Executed, other: Executed, deviations: Mapping[TapKey, float]) -> dict[TapKey, float]:
    return {
        key: distance(signal, other.signals[key], deviations[key])
        for key, signal in one.signals.items()
        if key in other.signals and signal.shape == other.signals[key].shape
    }


def _now(values: Mapping[Slot, Any], operation: Operation) -> float:
    """Return the time, once an accelerator has done what it was told."""
    first = next((values[slot] for slot in operation.reads if slot in values), None)
    if isinstance(first, torch.Tensor) and first.is_cuda:
        torch.cuda.synchronize(first.device)
    return Original.perf_counter()
