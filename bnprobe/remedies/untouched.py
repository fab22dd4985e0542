"""Runs code of a script's to see what it is, and leaves the script as it was.

A forward may count its calls, keep what it is given, draw random numbers and print. Before it is run, or traced, what it can reach by name
(``reach``) is noted, and put back afterwards where it has changed: attributes, globals, containers, arrays, tensors, generators. What it
writes to a file or logs cannot be taken back, nor what it writes into an array so large that a copy could have no room.
"""

from __future__ import annotations

import functools
import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import nn

from bnprobe.remedies.reach import CONTAINERS, attributes_of, is_of_script, names_in, reached
from bnprobe.remedies.side_effects import muted, without_warnings
from bnprobe.torch_private import holds_numbers, version_kept

_MISSING = object()
#: Bytes of an array or a tensor that are copied at most: a larger one may be a data set.
_COPIED = 2**28


@contextmanager
def untouched(*modules: nn.Module) -> Iterator[None]:
    """Put back what the forward of modules may change; print nothing, and do not move a generator.

    Args:
        modules: whose own forwards are about to be run.
    """
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    put_back = [one for value in reached(modules) for one in _keepers(value)]
    numpy = sys.modules.get("numpy")
    own, theirs = random.getstate(), numpy.random.get_state() if numpy is not None else None
    try:
        with torch.random.fork_rng(devices=devices), muted(), without_warnings():
            yield
    finally:
        random.setstate(own)
        if numpy is not None:
            numpy.random.set_state(theirs)
        for one in put_back:
            one()


def _keepers(value: Any) -> Iterable[Callable[[], Any]]:
    """Yield functions that put an object's state back as it is now."""
    kind = type(value)
    if kind in CONTAINERS:
        yield _content(value)
    elif kind is FunctionType:
        if is_of_script(value):
            yield _names(value.__globals__, names_in(value))
            yield from (_cell(cell) for cell in value.__closure__ or ())
            yield _content(vars(value))
    elif issubclass(kind, type | ModuleType):
        if is_of_script(value):
            yield _attributes(value)
    elif issubclass(kind, torch.Tensor):
        if holds_numbers(value) and not isinstance(value, nn.Parameter) and value.nbytes <= _COPIED:
            yield _tensor(value)
    elif not issubclass(kind, torch.jit.ScriptModule):
        yield _content(attributes_of(value))
        if (generator := _generator(value)) is not None:
            yield generator


def _content(container: Any) -> Callable[[], Any]:
    before = container.copy()

    def put_back() -> None:
        if _is_same(container, before):
            return
        container.clear()
        container.extend(before) if isinstance(container, list | deque) else container.update(before)

    return put_back


def _is_same(now: Any, before: Any) -> bool:
    """Whether two containers hold the same objects in the same order; what they hold is not asked whether it is equal."""
    if len(now) != len(before):
        return False
    pairs = zip(now, before, strict=True)
    if not isinstance(now, dict):
        return all(one is other for one, other in pairs)
    return all(one is other for one, other in pairs) and all(now[key] is value for key, value in before.items())


def _names(globals_of: dict[str, Any], names: set[str]) -> Callable[[], Any]:
    before = {name: globals_of.get(name, _MISSING) for name in names}

    def put_back() -> None:
        for name, value in before.items():
            if value is _MISSING:
                globals_of.pop(name, None)
            elif globals_of.get(name, _MISSING) is not value:
                globals_of[name] = value

    return put_back


def _cell(cell: Any) -> Callable[[], Any]:
    try:
        before = cell.cell_contents
    except ValueError:  # nothing is in it
        return lambda: None

    def put_back() -> None:
        if cell.cell_contents is not before:
            cell.cell_contents = before

    return put_back


def _attributes(owner: Any) -> Callable[[], Any]:
    """Of a class or a file of the script's; those of libraries are not changed."""
    before = dict(vars(owner))

    def put_back() -> None:
        now = dict(vars(owner))
        for name in now.keys() - before.keys():
            delattr(owner, name)
        for name, value in before.items():
            if now.get(name, _MISSING) is not value:
                setattr(owner, name, value)

    return put_back


def _tensor(tensor: torch.Tensor) -> Callable[[], Any]:
    before = tensor.detach().clone()

    def put_back() -> None:
        if not torch.equal(tensor, before):
            with torch.no_grad(), version_kept(tensor):
                tensor.copy_(before)

    return put_back


def _generator(value: Any) -> Callable[[], Any] | None:
    """Return what puts a generator of random numbers, or an array of numpy's, back."""
    if isinstance(value, torch.Generator):
        state = value.get_state()
        return functools.partial(value.set_state, state)
    if isinstance(value, random.Random):
        own = value.getstate()
        return functools.partial(value.setstate, own)
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if isinstance(value, numpy.random.Generator):
        return _bits(value.bit_generator)
    if isinstance(value, numpy.random.RandomState):
        theirs = value.get_state()
        return functools.partial(value.set_state, theirs)
    if isinstance(value, numpy.ndarray) and value.flags.writeable and value.nbytes <= _COPIED:
        content = value.copy()
        return functools.partial(value.__setitem__, ..., content)
    return None


def _bits(bits: Any) -> Callable[[], Any]:
    state = bits.state

    def put_back() -> None:
        bits.state = state

    return put_back
