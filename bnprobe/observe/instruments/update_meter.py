"""Norms around one update of some parameters: of their gradients, of themselves, and of the step that was really taken."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence

import torch

from bnprobe.measure import fused
from bnprobe.measure.kernels import kernel_common_mode
from bnprobe.measure.norms import distances, norms
from bnprobe.measure.rows import row_difference
from bnprobe.measure.weight_copies import WeightCopies
from bnprobe.observe.steps.update_measurement import UpdateMeasurement
from bnprobe.torch_private import answers_itself, gradient_of, holds_numbers, is_freed, is_same_part, plain

#: Copies of weights from which the size of an update is taken. Larger models take turns: what has no turn at a step is missing there.
COPY_LIMIT_BYTES = 48 * 2**20


class UpdateMeter:
    """Measures updates, copying at most ``COPY_LIMIT_BYTES`` of weights at a time into buffers that it keeps."""

    def __init__(self) -> None:
        self._copies = WeightCopies()
        self._buffers: dict[int, torch.Tensor] = {}  # where compiled code makes no copies
        self._buffer_bytes = 0
        self._next_turn = 0

    @torch.no_grad()
    def before(self, parameters: Sequence[torch.Tensor], gradients: Mapping[int, torch.Tensor] | None = None) -> UpdateMeasurement:
        """Measure gradients and weights and remember the weights, just before an update.

        Args:
            parameters: what is updated.
            gradients: by id of the parameter, where they are not stored in ``.grad``.

        Returns:
            The measurement, to be completed once the weights have moved.
        """
        kept = list(parameters)
        if kept and (at_once := self._copies.before(kept, gradients, COPY_LIMIT_BYTES)) is not None:
            gradient, weight = torch.from_numpy(at_once[0]).chunk(2)
            return UpdateMeasurement(list(map(id, kept)), gradient, weight, _shapes=at_once[1])
        found = fused.gradients(kept) if gradients is None else [gradients.get(id(parameter)) for parameter in kept]
        turns = self._take_turns(kept)
        weights = [_local(kept[index]) for index in turns]
        before = [self._buffer(id(kept[index]), weight) for index, weight in zip(turns, weights, strict=True)]
        unknown = 0
        copies: list[torch.Tensor | None] = [None] * (2 * len(kept))
        for index, copy in zip(turns, before, strict=True):
            copies[len(kept) + index] = copy
        lengths = fused.lengths((*found, *kept), copies=copies) if kept else None
        if lengths is not None:
            gradient, weight = torch.from_numpy(lengths).chunk(2)
        else:
            elsewhere = [one is not None and not is_same_part(one, parameter) for one, parameter in zip(found, kept, strict=True)]
            unknown = sum(elsewhere)
            found = [None if is_elsewhere else one for one, is_elsewhere in zip(found, elsewhere, strict=True)]
            gradient, weight = norms(found), norms(kept)
            held = [not is_freed(weight) for weight in weights]
            turns = list(itertools.compress(turns, held))
            weights, before = list(itertools.compress(weights, held)), list(itertools.compress(before, held))
            if weights:
                torch._foreach_copy_(before, weights)
        return UpdateMeasurement(list(map(id, kept)), gradient, weight, unknown=unknown, _turns=turns, _before=before)

    @torch.no_grad()
    def after(
        self, measurement: UpdateMeasurement, parameters: Sequence[torch.Tensor], kernels: Collection[int] = (), *, rows: bool = False
    ) -> None:
        """Measure how far the weights have moved, just after the update, and what remained.

        Args:
            measurement: what ``before`` returned.
            parameters: those it was given.
            kernels: ids of the parameters whose common mode as convolution kernels is measured, too.
            rows: whether the rows of each weight are compared.
        """
        shapes, measurement._shapes = measurement._shapes, None
        if shapes is not None and not self._copies.holds(shapes):
            shapes = None  # another update has begun since: nothing is known of this one
        at_once = self._copies.after(parameters, shapes) if shapes is not None else None
        if at_once is not None:
            measurement.update = torch.from_numpy(at_once)
        else:
            if shapes is not None:  # some of what moved is otherwise than before
                measurement._turns, measurement._before = list(range(len(shapes))), self._copies.tensors(shapes)
            self._compare(measurement, parameters)
        are_kernels = [id(one) in kernels and _is_copied(one) and not is_freed(one) for one in parameters] if kernels else []
        if any(are_kernels):
            found = [_local(one) if is_kernel else None for one, is_kernel in zip(parameters, are_kernels, strict=True)]
            # A rank may hold no part of a small kernel.
            parts = [kernel if kernel is not None and kernel.numel() else None for kernel in found]
            measurement.kernels = kernel_common_mode(parts).to(measurement.weight.device)
        if rows:
            weights = [plain(parameter.detach()) if holds_numbers(parameter) else None for parameter in parameters]
            comparable = [one if one is not None and one.is_floating_point() else None for one in weights]
            measurement.rows = row_difference(comparable).to(measurement.weight.device)

    def _compare(self, measurement: UpdateMeasurement, parameters: Sequence[torch.Tensor]) -> None:
        """Measure how far weights are from their copies, tensor by tensor where need be."""
        olds: list[torch.Tensor | None] = [None] * len(parameters)
        news = list(olds)
        for index, old in zip(measurement._turns, measurement._before, strict=True):
            local = _local(parameters[index])
            if old.shape == local.shape and old.dtype == local.dtype:
                olds[index], news[index] = old, local
        lengths = fused.lengths(news, olds)
        if lengths is None:
            for index, new in enumerate(news):
                if new is not None and is_freed(new):
                    olds[index] = news[index] = None
        measurement.lost = _lost(olds, news, parameters)
        if lengths is not None:
            measurement.update = torch.from_numpy(lengths)
        else:
            measurement.update = distances(olds, news).to(measurement.weight.device)
        measurement._before = []

    def _take_turns(self, parameters: list[torch.Tensor]) -> list[int]:
        copied = [index for index, parameter in enumerate(parameters) if _is_copied(parameter)]
        sizes = {index: _local(parameters[index]).numel() * parameters[index].element_size() for index in copied}
        if sum(sizes.values()) <= COPY_LIMIT_BYTES:
            return copied
        turns: list[int] = []
        left = COPY_LIMIT_BYTES
        start = self._next_turn % len(parameters)
        for offset in range(len(parameters)):
            index = (start + offset) % len(parameters)
            if index not in sizes:
                continue
            if sizes[index] > left:
                # A single parameter beyond the limit never has a turn; the others go on from here next time.
                if sizes[index] <= COPY_LIMIT_BYTES:
                    self._next_turn = index
                    break
                continue
            turns.append(index)
            left -= sizes[index]
        return sorted(turns)

    def _buffer(self, key: int, local: torch.Tensor) -> torch.Tensor:
        buffer = self._buffers.get(key)
        if buffer is None or buffer.shape != local.shape or buffer.dtype != local.dtype or buffer.device != local.device:
            self._buffer_bytes -= buffer.nbytes if buffer is not None else 0
            if self._buffer_bytes + self._copies.nbytes + local.nbytes > COPY_LIMIT_BYTES:
                self._copies.drop()
                self._buffers.clear()  # others had their turn before
                self._buffer_bytes = 0
            buffer = torch.empty_like(local)
            self._buffers[key] = buffer
            self._buffer_bytes += buffer.nbytes
        return buffer


def _lost(
    olds: Sequence[torch.Tensor | None], news: Sequence[torch.Tensor | None], parameters: Sequence[torch.Tensor]
) -> torch.Tensor | None:
    """Share of the elements with a gradient that are as they were, of what is stored in half precision; None without any such."""
    shares: dict[int, torch.Tensor] = {}
    for index, (old, new) in enumerate(zip(olds, news, strict=True)):
        if old is None or new is None or new.dtype not in (torch.bfloat16, torch.float16):
            continue
        gradient = gradient_of(parameters[index])
        if gradient is not None and gradient.shape == new.shape and gradient.layout is torch.strided and not is_freed(gradient):
            has_gradient = gradient != 0
            shares[index] = ((old == new) & has_gradient).sum() / has_gradient.sum()
    if not shares:
        return None
    found = torch.full((len(olds),), torch.nan, device=next(iter(shares.values())).device)
    for index, share in shares.items():
        found[index] = share
    return found


def _is_copied(parameter: torch.Tensor) -> bool:
    """Whether a parameter can be copied into a buffer: the elements of a sparse one come and go, and a script's own class is left alone."""
    return parameter.layout is torch.strided and not answers_itself(parameter)


def _local(parameter: torch.Tensor) -> torch.Tensor:
    """Return the shard a rank holds, so that nothing has to be gathered."""
    if type(parameter) in (torch.Tensor, torch.nn.Parameter):
        return parameter
    detached = parameter.detach()
    return detached.to_local() if hasattr(detached, "to_local") else detached
