"""The models that optimizers were built for, as JSON has them: classes of torch by name, settings, and which parameter is where."""

from __future__ import annotations

from typing import Any

from bnprobe.what_if.kept.torch_names import layer_class, layer_name
from bnprobe.what_if.kept.values import ValuesIn, ValuesOut
from bnprobe.what_if.remedy_edits import Built
from bnprobe.what_if.skeleton import Skeleton

_FLAGS = ("number", "was_loaded", "was_changed", "changed_mode")


def write_built(built: list[Built], values: ValuesOut) -> dict[str, Any]:
    """Return the moments at which optimizers were built.

    Args:
        built: the moments.
        values: writes values.
    """
    numbers: dict[int, int] = {}
    modules: list[dict[str, Any]] = []

    def number(skeleton: Skeleton) -> int:
        if id(skeleton) in numbers:
            return numbers[id(skeleton)]
        own = numbers[id(skeleton)] = len(modules)
        modules.append({})
        modules[own] = {
            "class": layer_name(skeleton.kind),
            "settings": values.value(skeleton.settings),
            "parameters": values.value(skeleton.slots),
            "children": [[name, None if child is None else number(child)] for name, child in skeleton.children.items()],
        }
        return own

    moments = [
        {
            **{name: getattr(one, name) for name in _FLAGS},
            "models": [number(model) for model in one.models],
            "trained": values.value(one.trained),
            "names": [[values.value(slot), name] for slot, name in one.names.items()],
            "random_state": values.value(one.random_state),
        }
        for one in built
    ]
    return {"modules": modules, "moments": moments}


def read_built(told: dict[str, Any], values: ValuesIn) -> list[Built]:
    """Return the moments that were written.

    Raises:
        Unreadable: a module is of a class that torch does not have.
    """
    skeletons = [
        Skeleton.of(layer_class(one["class"]), values.value(one["settings"]), values.value(one["parameters"])) for one in told["modules"]
    ]
    for skeleton, one in zip(skeletons, told["modules"], strict=True):
        skeleton.children.update({name: None if child is None else skeletons[child] for name, child in one["children"]})
    return [
        Built(
            models=[skeletons[model] for model in one["models"]],
            trained=values.value(one["trained"]),
            names={values.value(slot): name for slot, name in one.get("names", [])},
            random_state=values.value(one["random_state"]),
            **{name: one[name] for name in _FLAGS},
        )
        for one in told["moments"]
    ]
