"""The tape of several steps: one tape for all, so that what one step leaves to the next is a slot like any other.

Leaves are known by the value that they had when they were met, and held weakly. Tensors that were made inside a backward or an optimizer's
step are seen by no operation: they count as constants, and a replay at other rates would take them for what they are not. So they are
holes where a hook of the script's has shown them to it (``conceal``); the gradients of leaves are slots.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import torch

from bnprobe.identity import OwnReference
from bnprobe.observe.probes.memory import set_memory, storage_key, view
from bnprobe.observe.probes.operation_kinds import OperationKind, kind_of
from bnprobe.observe.probes.tape import Constant, Hole, Operation, Slot, Tape
from bnprobe.torch_private import gradient_of
from bnprobe.what_if.earlier_parameters import EarlierParameters
from bnprobe.what_if.program import Decision, Emptiness, Item, SetGradient, needed

#: Operations that give a tensor its first values, whatever it held before.
_INITIALISING = {"uniform_", "normal_", "zero_", "fill_", "bernoulli_", "exponential_"}
#: Operations that tell which values were chosen: a script that goes through choices may pass over an empty one.
_CHOOSING = {"nonzero", "unique_dim", "_unique2", "unique_consecutive"}
_LOADED = "weights were loaded, or set from outside the tape, after the training had begun: at other rates they would have been others"
#: Operations that draw as many random numbers as their input makes them: at other weights, all that is drawn after them is another.
_DRAWING_BY_VALUE = {"rrelu_with_noise", "rrelu_with_noise_", "poisson", "binomial", "_standard_gamma", "_sample_dirichlet"}
_SHARED = "a parameter shares its memory with another signal of the training"


def set_requires_grad(leaf: torch.Tensor, value: bool) -> torch.Tensor:
    """Let a leaf ask for a gradient, or not: what ``requires_grad_`` does, as an operation of the tape."""
    return leaf.requires_grad_(value)


class StretchTape(Tape):
    """A tape that goes on.

    Attributes:
        starts: the value of each leaf when it was met.
        held_bytes: memory that it keeps from being freed, at most.
        largest_result: bytes of the largest tensor that an operation gave.
        has_moved: whether an optimizer has made a step.
        late: leaves whose first values may come from the training: met after that, and neither there before nor initialised since.
    """

    def __init__(self) -> None:
        super().__init__()
        self.starts: dict[Slot, torch.Tensor] = {}
        self.held_bytes = 0
        self.largest_result = 0
        self.has_moved = False
        self.late: set[Slot] = set()
        self.items: list[Item] = self.operations  # type: ignore[assignment]
        self._leaves: dict[Slot, weakref.ref[torch.Tensor]] = {}
        self._asks: dict[Slot, bool] = {}
        self._gradients: dict[Slot, Slot | None] = {}
        self._storages: dict[Slot, int] = {}
        self._held: set[tuple[int, int, int]] = set()
        self._pruned = 0
        #: Parameters that are views of what the tape knows: they may be read, but no gradient goes to them.
        self._shared: set[Slot] = set()
        self._earlier = EarlierParameters()

    # -- leaves and their gradients -----------------------------------------------------------------------------------

    def leaf(self, tensor: torch.Tensor) -> Slot:
        """Return the slot of a parameter that is trained, known from now on if it was not."""
        known = self._slots.get(tensor)
        if known in self._shared:
            self.broken = self.broken or _SHARED
        return known if known is not None and known not in self._shared else self._leaf(tensor)

    def _leaf(self, tensor: torch.Tensor) -> Slot:
        slot = self._define(tensor)
        start = tensor.detach().clone(memory_format=torch.preserve_format)
        if isinstance(tensor, torch.nn.Parameter):
            start = torch.nn.Parameter(start, tensor.requires_grad)
        self.starts[slot] = start.requires_grad_(tensor.requires_grad)
        self.held_bytes += start.nbytes if start.layout is torch.strided else 0
        self._leaves[slot] = OwnReference(tensor)
        self._asks[slot] = tensor.requires_grad
        self._gradients[slot] = None
        if self.has_moved and isinstance(tensor, torch.nn.Parameter) and not self._earlier.as_it_was(tensor):
            self.late.add(slot)
        if tensor.layout is torch.strided:
            self._storages[slot] = storage_key(tensor)
        return slot

    def _resolve(self, tensor: torch.Tensor) -> Slot | Constant | Hole:
        found = super()._resolve(tensor)
        if type(found) is Slot and found in self._asks and self._leaves[found]() is tensor:
            if self._asks[found] != tensor.requires_grad:
                self._asks[found] = tensor.requires_grad
                self._append(Operation(set_requires_grad, (found, tensor.requires_grad), {}, [], [found], [found]))
            self._note_memory(found, tensor)
        return found

    def _note_memory(self, slot: Slot, leaf: torch.Tensor) -> None:
        """A leaf that was given the memory of another signal (``p.data = kept``) is given it again; memory that is not known is a fault."""
        if slot not in self._storages or (key := storage_key(leaf)) == self._storages[slot]:
            return
        memory, left = self._memory.get(key), self._memory.pop(self._storages[slot], None)
        is_known = memory is not None and memory.dtype == leaf.dtype and leaf.storage_offset() >= memory.offset
        is_held = left is not None and not left.reference.expired()
        if memory is None or not is_known or is_held or memory.slot in self._asks:
            self.broken = self.broken or "a parameter was given other memory during the stretch"
            return
        source = self._number()
        place = (tuple(leaf.shape), leaf.stride(), leaf.storage_offset() - memory.offset)
        self._append(Operation(view, (memory.slot, *place), {}, [source], [memory.slot], with_grad=False))
        self._append(Operation(set_memory, (slot, source), {}, [None], [source, slot], [slot], with_grad=False))
        self._storages[slot] = key

    def _alias(self, tensor: torch.Tensor, memory: Any) -> Slot | Hole:
        """Another view of a known storage. A parameter that is one is a copy made during the stretch, or lies in memory of another."""
        found = super()._alias(tensor, memory)
        if isinstance(found, Slot) and tensor.requires_grad and tensor.is_leaf:
            self._shared.add(found)
            self.items[-1].with_grad = False  # type: ignore[union-attr]
        return found

    def _is_weight(self, tensor: torch.Tensor) -> bool:
        """A weight that the script writes to is a signal like any other here: what it does belongs to the training."""
        return False

    def loaded(self, items: Sequence[Item]) -> str:
        """Return why weights that items need may come from outside the tape; empty where none do."""
        return _LOADED if any(slot in self.late for item in items for slot in item.reads) else ""

    def note(self, item: Item) -> None:
        """Put something between the operations."""
        item.place = len(self.items)
        self.items.append(item)

    def note_gradients(self) -> None:
        """Compare the gradients of all leaves with what is known of them, and note what the script has done with them."""
        for slot, reference in self._leaves.items():
            leaf = reference()
            if leaf is None:
                continue
            gradient, known = gradient_of(leaf), self._gradients[slot]
            self._note_memory(slot, leaf)
            if gradient is None:
                found = None
            else:
                found = self._slots.get(gradient)
                if found is None:
                    found = self._own(gradient)
            if found != known:
                self._gradients[slot] = found
                self.note(SetGradient(slot, found))

    def gradients_of(self, leaves: Sequence[Slot]) -> list[Slot]:
        """Return the slots of the gradients that leaves have."""
        return [gradient for leaf in leaves if (gradient := self._gradients[leaf]) is not None]

    def take_gradients(self) -> list[tuple[Slot, Slot | None]]:
        """A backward has run: return what leaves have for a gradient now."""
        results: list[tuple[Slot, Slot | None]] = []
        for slot, reference in self._leaves.items():
            leaf = reference()
            gradient = gradient_of(leaf) if leaf is not None else None
            if gradient is None:
                continue
            found = self._slots.get(gradient)
            if found is None:
                found = self._define(gradient)
            self._gradients[slot] = found
            results.append((slot, found))
        return results

    def define(self, tensor: torch.Tensor) -> Slot:
        """Return a new slot for a tensor that is seen for the first time."""
        known: Slot | None = self._slots.get(tensor)
        return known if known is not None else self._define(tensor)

    def given(self, tensor: torch.Tensor) -> Slot | Constant | Hole:
        """Return what a tensor is for the tape, as an argument of something that is no operation."""
        try:
            return self._resolve(tensor)
        except NotImplementedError:  # it has no memory
            return Hole("a gradient is batched or transformed (torch.func)")

    def _before(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], kind: OperationKind) -> Operation | None:
        operation = super()._before(function, args, kwargs, kind)
        if operation is None:
            return None
        name = kind.name
        if name in _DRAWING_BY_VALUE:
            operation.hole = operation.hole or Hole(f"{function} draws as many random numbers as its input makes it")
        if self._shared and operation.with_grad and name != "detach" and not self._shared.isdisjoint(operation.reads):
            operation.hole = operation.hole or Hole(_SHARED)
        if not self.has_moved or not operation.arguments:
            return operation
        first = operation.arguments[0]
        if name in _INITIALISING:
            self.late.discard(first)
        elif name == "copy_" and first in self._asks and isinstance(operation.arguments[1], Constant):
            operation.hole = operation.hole or Hole(_LOADED)
        return operation

    def _after(self, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        super()._after(operation, args, kwargs, result)
        if isinstance(result, torch.Tensor) and result.layout is torch.strided and not result.is_nested:
            self.largest_result = max(self.largest_result, result.nbytes)
        if type(result) is bool and operation.reads:
            self.note(Decision(operation.reads[0], result))
        elif kind_of(operation.function).name in _CHOOSING and (sized := operation.outputs[0]) is not None:
            first = result[0] if isinstance(result, list | tuple) else result
            self.note(Emptiness(sized, not first.numel()))

    # -- memory -------------------------------------------------------------------------------------------------------

    def _constant(self, tensor: torch.Tensor) -> Constant:
        if tensor.layout is torch.strided and not tensor.is_nested:
            key = (tensor.data_ptr(), tensor.numel(), tensor.element_size())
            if key not in self._held:
                self._held.add(key)
                self.held_bytes += tensor.nbytes
        return super()._constant(tensor)

    def prune(self) -> None:
        """Forget the operations of the last step that nothing needs any more: evaluations, logs."""
        alive = set(self._slots.values())
        # What is gone is forgotten here: each step makes some hundred signals, and all would be asked again at every step.
        self._memory = {key: memory for key, memory in self._memory.items() if not memory.reference.expired()}
        alive.update(memory.slot for memory in self._memory.values())
        recent = self.items[self._pruned :]
        kept = needed(recent, alive)
        for place, item in enumerate(kept, self._pruned):
            item.place = place
            if isinstance(item, Operation) and item.generator is not None:
                self.held_bytes += item.generator[1].nbytes
        self.items[self._pruned :] = kept
        self._pruned = len(self.items)
