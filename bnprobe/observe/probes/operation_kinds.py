"""What is known of an operation of torch before it is called: its name, what it overwrites, whether it draws, whether it may be repeated.

Everything here is asked at every operation of a taped step, and read from the operation's schema once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from bnprobe.torch_private import OpOverload, is_scripts_operation

Kind = TypeVar("Kind")
#: Operations that write to running statistics without their schema saying so, and the places of those arguments.
_SILENT_WRITERS = {"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"}
_RUNNING_STATISTICS = (3, 4)
#: Random operations whose tag is missing.
_RANDOM = {"_cudnn_rnn", "rrelu_with_noise", "native_dropout", "mkldnn_rnn_layer", "_fused_dropout"}
_COLLECTIVES = {"c10d", "_c10d_functional", "c10d_functional", "_c10d_functional_autograd", "symm_mem"}


@dataclass(frozen=True)
class OperationKind:
    """What a function's schema says.

    Attributes:
        name: without its namespace and overload; "" without a schema.
        may_alias: whether what it returns may share the memory of what it was given.
        draws: whether it draws random numbers.
        is_sized_by_values: whether values, and not shapes alone, say how large its result is.
        silent: places of arguments that it overwrites without saying so.
        written: place and name of the arguments that it says it overwrites.
    """

    name: str
    may_alias: bool
    draws: bool
    is_sized_by_values: bool
    silent: tuple[int, ...]
    written: tuple[tuple[int, str], ...]

    def overwritten(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
        """Return the tensors among some arguments that a call would overwrite."""
        tensors: list[torch.Tensor] = []
        if self.silent:
            tensors += found(torch.Tensor, [args[place] for place in self.silent if place < len(args)])
        for place, name in self.written:
            tensors += found(torch.Tensor, kwargs.get(name, args[place] if place < len(args) else None))
        return tensors


@functools.cache
def kind_of(function: Callable[..., Any]) -> OperationKind:
    """Return what is known of a function."""
    schema = getattr(function, "_schema", None)
    name = operation_name(function)
    draws = torch.Tag.nondeterministic_seeded in getattr(function, "tags", ()) or name in _RANDOM
    is_sized = torch.Tag.dynamic_output_shape in getattr(function, "tags", ())
    if schema is None:
        return OperationKind(name, False, draws, is_sized, (), ())
    written = tuple(
        (place, argument.name)
        for place, argument in enumerate(schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    )
    # reshape, contiguous and the like return their argument or a copy: what they return is marked as no alias, and is a new tensor here.
    may_alias = any(result.alias_info is not None for result in schema.returns)
    return OperationKind(name, may_alias, draws, is_sized, _RUNNING_STATISTICS if name in _SILENT_WRITERS else (), written)


def operation_name(function: Any) -> str:
    """Return the name of an operation without its namespace and overload."""
    return str(getattr(getattr(function, "_schema", None), "name", "").partition("::")[2])


@functools.cache
def why_unrepeatable(function: Callable[..., Any]) -> str:
    """Return why an operation is not executed again; "" where it is."""
    if not isinstance(function, OpOverload):
        return f"{function} takes functions, and is not executed again"
    if function.namespace in _COLLECTIVES:
        return f"{function} talks to other processes"
    if is_scripts_operation(function):
        return f"{function} is computed by code of the script, which would see that it runs again"
    return ""


def generator_state(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[torch.Generator, torch.Tensor] | None:
    """Return the generator from which an operation that draws will do so, with its state."""
    generator = kwargs.get("generator")
    if generator is None:
        device = next((tensor.device for tensor in found(torch.Tensor, (args, kwargs))), kwargs.get("device") or torch.device("cpu"))
        if device.type == "cuda":
            generator = torch.cuda.default_generators[device.index or 0]
        elif device.type == "cpu":
            generator = torch.default_generator
        else:
            return None  # the replay will show whether it draws
    return generator, generator.get_state()


def found(kind: type[Kind], value: Any) -> Iterator[Kind]:
    """Yield what is of a kind among an operation's arguments: torch nests them in lists, tuples and keywords."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from found(kind, part)
    elif isinstance(value, dict):
        yield from found(kind, list(value.values()))
