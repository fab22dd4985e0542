"""A program as JSON has it, and back: items in order, the values of leaves where it begins, and its optimizers.

An optimizer is written as what it holds: its class by name, its groups, its state, its defaults.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch

from bnprobe.observe.probes.operation_kinds import found
from bnprobe.observe.probes.tape import Operation, Slot
from bnprobe.what_if.kept.torch_names import name_of, operation, optimizer_class, optimizer_name
from bnprobe.what_if.kept.unkept import Unkept, Unreadable
from bnprobe.what_if.kept.values import ValuesIn, ValuesOut
from bnprobe.what_if.optimizer_copy import HOOKS
from bnprobe.what_if.program import Backward, Decision, Emptiness, Item, Move, Program, SetGradient

#: What stands between operations, by name, with its fields.
_MARKS: dict[str, tuple[type[Backward | SetGradient | Move | Decision], tuple[str, ...]]] = {
    "backward": (
        Backward,
        ("outputs", "gradients", "inputs", "accumulates", "keeps_graph", "creates_graph", "results", "losses", "scale", "recorded", "step"),
    ),
    "gradient": (SetGradient, ("leaf", "gradient")),
    "move": (Move, ("optimizer", "settings", "held", "gradients", "step", "conditions", "handed")),
    "decision": (Decision, ("slot", "value")),
    "emptiness": (Emptiness, ("slot", "value")),
}
_PLAIN = ("first_step", "steps", "own_rate", "draws_nothing")


def write_program(program: Program, values: ValuesOut) -> dict[str, Any]:
    """Return a program as JSON has it.

    Args:
        program: the program.
        values: writes its values, and collects its tensors.

    Raises:
        Unkept: it holds something that cannot be written.
    """
    names: dict[str, int] = {}
    items = [_written(item, values, names) for item in program.items]
    starts = [[slot, values.tensors.number(start)] for slot, start in program.starts.items()]
    values.leaves = {id(start): slot for slot, start in program.starts.items()}
    optimizers = [[number, _optimizer(optimizer, values)] for number, optimizer in program.optimizers.items()]
    values.leaves = {}
    return {
        **{name: getattr(program, name) for name in _PLAIN},
        "operations": list(names),
        "items": items,
        "starts": starts,
        "optimizers": optimizers,
        "random_state": values.value(program.random_state),
    }


def read_program(told: dict[str, Any], values: ValuesIn) -> Program:
    """Return the program that was written.

    Raises:
        Unreadable: it names what is no part of torch, or says something else than a program does.
    """
    functions = [operation(name) for name in told["operations"]]
    items: list[Item] = []
    for place, one in enumerate(told["items"]):
        item = _read(one, values, functions)
        item.place = place
        items.append(item)
    starts = {Slot(slot): values.tensors.tensor(number) for slot, number in told["starts"]}
    values.leaves = starts
    optimizers = {int(number): _read_optimizer(one, values) for number, one in told["optimizers"]}
    return Program(
        items=items,
        starts=starts,
        optimizers=optimizers,
        random_state=values.value(told["random_state"]),
        **{name: told[name] for name in _PLAIN},
    )


def _written(item: Item, values: ValuesOut, names: dict[str, int]) -> list[Any]:
    if not isinstance(item, Operation):
        name, fields = next((name, fields) for name, (kind, fields) in _MARKS.items() if type(item) is kind)
        return [name, *(values.value(getattr(item, field)) for field in fields)]
    function = name_of(item.function)
    number = names.setdefault(function, len(names))
    try:
        arguments, keywords = values.value(list(item.arguments)), values.value(item.keywords)
    except Unkept as reason:
        raise Unkept(f"an argument of {function}: {reason}") from None
    drawn = None if item.generator is None else [values.generator(item.generator[0]), values.value(item.generator[1])]
    return [number, arguments, keywords, values.value(item.outputs), values.value(item.writes), drawn, item.with_grad]


def _read(told: list[Any], values: ValuesIn, functions: list[Any]) -> Item:
    kind, *rest = told
    if isinstance(kind, str):
        if kind not in _MARKS:
            raise Unreadable(f"there is no item {kind!r}")
        make, fields = _MARKS[kind]
        return make(**{field: values.value(value) for field, value in zip(fields, rest, strict=True)})
    arguments, keywords, outputs, writes, drawn, with_grad = rest
    arguments, keywords = tuple(values.value(arguments)), values.value(keywords)
    return Operation(
        function=functions[kind],
        arguments=arguments,
        keywords=keywords,
        outputs=values.value(outputs),
        reads=list(found(Slot, (arguments, keywords))),
        writes=values.value(writes),
        generator=None if drawn is None else (values.generators[drawn[0]], values.value(drawn[1])),
        with_grad=bool(with_grad),
    )


def _optimizer(optimizer: torch.optim.Optimizer, values: ValuesOut) -> dict[str, Any]:
    attributes = []
    for name, value in vars(optimizer).items():
        if name in HOOKS:
            continue
        try:
            attributes.append([name, values.value(value)])
        except Unkept as reason:
            raise Unkept(f"{name} of its {type(optimizer).__name__}: {reason}") from None
    return {"class": optimizer_name(optimizer), "attributes": attributes}


def _read_optimizer(told: dict[str, Any], values: ValuesIn) -> torch.optim.Optimizer:
    kind = optimizer_class(told["class"])
    made: torch.optim.Optimizer = kind.__new__(kind)
    # As unpickling does: it lets torch put its hooks around the class's step, which happens when a first one is built.
    torch.optim.Optimizer.__setstate__(made, {str(name): values.value(value) for name, value in told["attributes"]})
    made.__dict__.update({name: OrderedDict() for name in HOOKS})
    return made
