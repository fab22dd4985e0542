"""A tape of what a loss was computed from: every operation that depends on a parameter, from the forward to the backward.

It lies below autograd and autocast, as a dispatch mode at the bottom of torch's stack, so that it sees what is executed: casts, running
statistics, what a loss module, a penalty over parameters or a forward that returns its loss does, all alike; no model or loss has to be
known. What does not depend on a parameter (the batch, a mask, a teacher's output) is kept by reference, or by copy where it is about
to be overwritten. Results are not kept: the tape holds no activation alive.

Signals are told apart by tensor and, for aliases that no operation made (``x.data``), by storage. A signal that needs a gradient and comes
from no operation of the tape (a custom autograd function in C, another thread, a graph from before) is a hole: a loss
that depends on one is not replayed, and the reason is kept.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch.multiprocessing import reductions

from bnprobe.identity import OwnReference
from bnprobe.observe.faults import let_through
from bnprobe.observe.probes.memory import PLAIN, set_memory, storage_key, view
from bnprobe.observe.probes.operation_kinds import OperationKind, found, generator_state, kind_of, why_unrepeatable
from bnprobe.torch_private import DispatchMode, revived, version

#: Identifies a storage for as long as it lives. Untyped in torch.
StorageWeakRef: Any = reductions.StorageWeakRef
#: A forward of more operations than this is given up.
MOST_OPERATIONS = 500_000
#: Why a loss is not replayed that depends on what no operation of the tape has made.
UNSEEN = "a part of the loss was computed where no operation is seen: before the forward, in compiled code, a custom function, another step"
#: Operations that write to weights as a part of their forward. Any other write puts new weights in the place of the old ones.
_WEIGHT_WRITERS = {"embedding_renorm_"}


class Slot(int):
    """A signal of the tape, by number."""


@dataclass(eq=False)
class Constant:
    """A tensor that no parameter has a part in, as it was when it was used."""

    tensor: torch.Tensor
    version: int


@dataclass(frozen=True)
class Hole:
    """Something the tape did not see being computed."""

    reason: str


@dataclass
class Operation:
    """One executed operation.

    Attributes:
        function: what was called.
        arguments: its arguments, with ``Slot``, ``Constant`` and ``Hole`` in the place of tensors.
        keywords: its keyword arguments, likewise.
        outputs: where its results go, in order; None for what was there before, or is no tensor.
        reads: the slots it needs.
        writes: slots among its arguments that it overwrites.
        generator: the random number generator it draws from, and that one's state before it.
        hole: why it cannot be executed again.
        place: how many operations came before it.
        with_grad: whether autograd was on.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    outputs: list[Slot | None]
    reads: list[Slot]
    writes: list[Slot] = field(default_factory=list)
    generator: tuple[torch.Generator, torch.Tensor] | None = None
    hole: Hole | None = None
    place: int = -1
    with_grad: bool = True


class Mark(NamedTuple):
    """A moment at which a signal was looked at: after so many operations, in a slot; ``note`` says what it was."""

    place: int
    slot: Slot
    note: Any


class _Memory(NamedTuple):
    """A storage that the tape has written to or made: a slot that covers it, and where that begins."""

    reference: Any
    slot: Slot
    offset: int
    dtype: torch.dtype


class TensorSlots:
    """Slots by tensor, which is held weakly.

    Nothing is called when a tensor dies: python drops an exception that a signal handler of the script raises in such a call. So what
    is known of dead tensors is swept out now and then.
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[OwnReference[torch.Tensor], Slot]] = {}
        self._most = 1000

    def get(self, tensor: torch.Tensor) -> Slot | None:
        """Return the slot of a tensor; None where it has none."""
        known = self._entries.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else None

    def __setitem__(self, tensor: torch.Tensor, slot: Slot) -> None:
        """Give a tensor a slot."""
        self._entries[id(tensor)] = (OwnReference(tensor), slot)
        if len(self._entries) > self._most:
            self.sweep()
            self._most = 1000 + 2 * len(self._entries)

    def sweep(self) -> None:
        """Forget tensors that are dead."""
        self._entries = {key: entry for key, entry in self._entries.items() if revived(entry[0]) is not None}

    def forget(self, tensor: torch.Tensor) -> None:
        """Take a tensor's slot away."""
        if self.get(tensor) is not None:
            del self._entries[id(tensor)]

    def __iter__(self) -> Iterator[torch.Tensor]:
        """Go through the tensors that are alive."""
        return (tensor for reference, _ in list(self._entries.values()) if (tensor := revived(reference)) is not None)

    def values(self) -> list[Slot]:
        """Return the slots of the tensors that are alive."""
        return [slot for reference, slot in self._entries.values() if revived(reference) is not None]


class Tape:
    """What was executed so far.

    Attributes:
        operations: in order.
        parameters: slot -> the parameter (or other leaf) whose value it is, held weakly: the script may let a model go.
        outdated: slots of parameters that have been overwritten since: initialised, projected, loaded.
        inputs: slot -> data that were asked to be followed as parameters are, as they were when the forward began.
        marks: moments at which a replay is looked at again.
        broken: why nothing of it can be replayed, or "".
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.parameters: dict[Slot, OwnReference[torch.Tensor]] = {}
        self.outdated: set[Slot] = set()
        self.inputs: dict[Slot, Constant] = {}
        self.marks: list[Mark] = []
        self.broken = ""
        self._count = 0
        self._slots = TensorSlots()
        self._memory: dict[int, _Memory] = {}
        self._followed: set[int] = set()
        self._constants: dict[int, list[weakref.ref[Constant]]] = {}

    def find(self, tensor: torch.Tensor) -> Slot | None:
        """Return the slot of a tensor, if a parameter has a part in it."""
        found = self._resolve(tensor)
        return found if isinstance(found, Slot) else None

    def known_slot(self, tensor: torch.Tensor) -> Slot | None:
        """Return the slot of a tensor that was met as it is; None of another, even a view of one."""
        return self._slots.get(tensor)

    def follow(self, tensor: torch.Tensor) -> None:
        """Write down what depends on a tensor of data, too, so that a replay can have others in its place."""
        if not tensor.requires_grad and isinstance(self._resolve(tensor), Constant):
            # Other views of its memory stay what they are: labels may be the same tokens, one further.
            self._followed.add(storage_key(tensor))
            self.inputs[self._define(tensor)] = Constant(tensor, version(tensor))

    def mark(self, tensor: torch.Tensor, note: Any) -> None:
        """Remember that a tensor was looked at now."""
        slot = self.find(tensor)
        if slot is not None:
            self.marks.append(Mark(len(self.operations), slot, note))

    def run(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Execute an operation and write it down if it depends on a parameter."""
        operation = None
        try:
            operation = None if self.broken else self._before(function, args, kwargs, kind_of(function))
        except Exception as error:
            let_through(error)
            self.broken = f"{type(error).__name__} while {function} was noted: {str(error)[:200]}"
        result = function(*args, **kwargs)
        if operation is not None:
            try:
                self._after(operation, args, kwargs, result)
            except Exception as error:
                let_through(error)
                self.broken = f"{type(error).__name__} after {function} was noted: {str(error)[:200]}"
        return result

    def take_for(self, tensor: torch.Tensor, repeated: torch.Tensor) -> None:
        """Let a tensor that was computed unseen have the slot of another that repeats it."""
        slot = self.find(repeated)
        if slot is not None:
            self._slots[tensor] = slot

    def _append(self, operation: Operation) -> None:
        operation.place = len(self.operations)
        self.operations.append(operation)

    # -- an operation -------------------------------------------------------------------------------------------------

    def _before(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], kind: OperationKind) -> Operation | None:
        written = kind.overwritten(args, kwargs) if kind.written or kind.silent else ()
        if written and kind.name not in _WEIGHT_WRITERS and (weights := [tensor for tensor in written if self._is_weight(tensor)]):
            for tensor in weights:
                self._renew(tensor)
            return None
        reads: list[Slot] = []
        holes: list[Hole] = []

        def read(tensor: torch.Tensor) -> Slot | Constant | Hole:
            found = self._resolve(tensor)
            if type(found) is Slot:
                reads.append(found)
            elif type(found) is Hole:
                holes.append(found)
            return found

        arguments = _mapped(args, read)
        keywords = {name: _mapped(value, read) for name, value in kwargs.items()} if kwargs else {}
        hole = holes[0] if holes else None
        if not reads and hole is None:
            for tensor in written:
                self._freeze(tensor)
            return None
        if len(self.operations) >= MOST_OPERATIONS:
            raise RuntimeError(f"the forward has more than {MOST_OPERATIONS} operations")
        writes: list[Slot] = []
        if written:
            for tensor in written:
                writes.append(self._own(tensor))
            # What was a constant is a slot now.
            reads.clear()
            arguments = _mapped(args, read)
            keywords = {name: _mapped(value, read) for name, value in kwargs.items()}
        if hole is None and (reason := why_unrepeatable(function)):
            hole = Hole(reason)
        generator = generator_state(args, kwargs) if kind.draws else None
        return Operation(function, arguments, keywords, [], reads, writes, generator, hole, -1, torch.is_grad_enabled())

    def _after(self, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        given = _given(args, kwargs)
        for value in result if isinstance(result, list | tuple) else (result,):
            is_new = isinstance(value, torch.Tensor) and id(value) not in given
            operation.outputs.append(self._define(value) if is_new else None)
        self._append(operation)

    # -- signals ------------------------------------------------------------------------------------------------------

    def _resolve(self, tensor: torch.Tensor) -> Slot | Constant | Hole:
        known = self._slots.get(tensor)
        if known is not None:
            return known
        kind = type(tensor)
        if kind not in PLAIN and hasattr(kind, "__torch_dispatch__") and kind.__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
            return Hole(f"a {kind.__name__} is no plain tensor (sharded, quantised, traced)")
        memory = self._memory.get(storage_key(tensor))
        if memory is not None:
            return self._alias(tensor, memory)
        if tensor.requires_grad:
            return self._leaf(tensor) if tensor.is_leaf else Hole(UNSEEN)
        return self._constant(tensor)

    def _leaf(self, tensor: torch.Tensor) -> Slot:
        """A parameter, or another leaf, is met for the first time."""
        slot = self._define(tensor)
        self.parameters[slot] = OwnReference(tensor)
        return slot

    def _number(self) -> Slot:
        """Return a slot that is no tensor's yet."""
        self._count += 1
        return Slot(self._count - 1)

    def _define(self, tensor: torch.Tensor) -> Slot:
        slot = self._number()
        self._slots[tensor] = slot
        key = storage_key(tensor)
        if key in self._followed:
            return slot
        # A storage that is referred to, if weakly, keeps its address: what is known there is of this one.
        if key and key not in self._memory:
            self._memory[key] = _Memory(StorageWeakRef(tensor.untyped_storage()), slot, int(tensor.storage_offset()), tensor.dtype)
        return slot

    def _alias(self, tensor: torch.Tensor, memory: _Memory) -> Slot | Hole:
        """Another view of a known storage, made by no operation."""
        if tensor.dtype != memory.dtype or tensor.storage_offset() < memory.offset:
            return Hole("a signal was looked at as another type, or from before its beginning")
        place = (tuple(tensor.shape), tensor.stride(), tensor.storage_offset() - memory.offset)
        slot = self._number()
        self._slots[tensor] = slot
        self._append(Operation(view, (memory.slot, *place), {}, [slot], [memory.slot], with_grad=tensor.requires_grad))
        return slot

    def _is_weight(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is a leaf, or a view of the memory of one."""
        if tensor.requires_grad and tensor.is_leaf:
            return True
        memory = self._memory.get(storage_key(tensor))
        return memory is not None and not memory.reference.expired() and memory.slot in self.parameters

    def _renew(self, tensor: torch.Tensor) -> None:
        """The script writes to a weight: what has been computed from it belongs to the old one."""
        key = storage_key(tensor)
        for slot, reference in list(self.parameters.items()):
            parameter = reference()
            if parameter is not None and (parameter is tensor or (key and storage_key(parameter) == key)):
                self.outdated.add(slot)
                del self.parameters[slot]
        self._memory.pop(key, None)
        for known in [known for known in self._slots if known is tensor or (key and storage_key(known) == key)]:
            self._slots.forget(known)

    def _constant(self, tensor: torch.Tensor) -> Constant:
        constant = Constant(tensor, version(tensor))
        self._constants.setdefault(storage_key(tensor), []).append(OwnReference(constant))
        return constant

    def _freeze(self, tensor: torch.Tensor) -> None:
        """A storage is about to be overwritten: copy what the tape refers to in it."""
        copies: dict[int, torch.Tensor] = {}
        for reference in self._constants.pop(storage_key(tensor), ()):
            constant = reference()
            if constant is not None:
                key = id(constant.tensor)
                copies.setdefault(key, constant.tensor.clone())
                constant.tensor, constant.version = copies[key], version(copies[key])

    def _own(self, tensor: torch.Tensor) -> Slot:
        """A signal is about to be written to by an operation of the tape: a constant becomes a slot, its whole storage copied."""
        found = self._resolve(tensor)
        if isinstance(found, Slot):
            return found
        if isinstance(found, Hole):
            raise RuntimeError(found.reason)
        self._freeze(tensor)
        storage = tensor.untyped_storage()
        whole = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(
            storage, 0, (storage.nbytes() // tensor.element_size(),), (1,)
        )
        slot = self._number()
        self._memory[storage_key(tensor)] = _Memory(StorageWeakRef(storage), slot, 0, tensor.dtype)
        self._append(Operation(torch.Tensor.clone, (Constant(whole.clone(), 0),), {}, [slot], []))
        owned = self._resolve(tensor)
        assert isinstance(owned, Slot)
        return owned


class Recording(DispatchMode):  # type: ignore[no-untyped-call]
    """The tape as torch calls it."""

    supports_higher_order_operators = True

    def __init__(self, tape: Tape) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tape = tape

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Execute and note one operation."""
        return self.tape.run(func, args, kwargs or {})


def reachable(operations: list[Operation], roots: Iterable[Slot]) -> list[Operation]:
    """Return, in order, the operations that some slots depend on: what makes them, and what writes into what they are made of."""
    needed = set(roots)
    # A write into a slot is needed if any alias of that slot is: aliases share a class.
    aliases = alias_classes(operations)
    classes = {aliases.get(slot, slot) for slot in needed}
    kept: list[Operation] = []
    for operation in reversed(operations):
        makes = any(slot in needed for slot in operation.outputs if slot is not None)
        changes = any(aliases.get(slot, slot) in classes for slot in operation.writes)
        if makes or changes:
            kept.append(operation)
            needed.update(operation.reads)
            classes.update(aliases.get(slot, slot) for slot in operation.reads)
    kept.reverse()
    return kept


def alias_classes(operations: Sequence[Operation]) -> dict[Slot, Slot]:
    """Map a slot to a representative of all that may share its memory."""
    classes: dict[Slot, Slot] = {}
    for operation in operations:
        if operation.reads and may_alias(operation.function):
            base = classes.get(operation.reads[0], operation.reads[0])
            classes.update((slot, base) for slot in operation.outputs if slot is not None)
        elif operation.function is set_memory:
            leaf, signal = (classes.get(slot, slot) for slot in operation.arguments)
            classes |= {slot: leaf for slot, base in classes.items() if base == signal} | {signal: leaf}
    return classes


def may_alias(function: Any) -> bool:
    """Whether what an operation returns may share the memory of what it was given."""
    return function is view or kind_of(function).may_alias


def _given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> set[int]:
    """Return the ids of the tensors among some arguments."""
    given = {id(value) for value in args if isinstance(value, torch.Tensor)}
    if kwargs or any(isinstance(value, list | tuple) for value in args):
        given.update(map(id, found(torch.Tensor, (args, kwargs))))
    return given


def _mapped(value: Any, replace: Callable[[torch.Tensor], Any]) -> Any:
    if isinstance(value, torch.Tensor):
        return replace(value)
    if type(value) in (list, tuple):
        return type(value)([_mapped(part, replace) for part in value])
    return value
