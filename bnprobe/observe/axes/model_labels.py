"""What stands before the names of a model's layers and parameters, so that several models can be told apart."""

from __future__ import annotations

import sys

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from bnprobe.module_parts import parameters
from bnprobe.observe.axes.earlier_models import Candidate, EarlierModels, Match
from bnprobe.observe.modules.kinds import class_name
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.store.earlier import Earlier


class ModelLabels:
    """Gives labels to models: none where one model trains, or as the file has it that the training goes on in.

    Args:
        tree: the modules.
        earlier: what stands in that file.
    """

    def __init__(self, tree: ModuleTree, earlier: Earlier | None) -> None:
        self._tree = tree
        self._earlier = EarlierModels(earlier) if earlier is not None and (earlier.parameters or earlier.layers) else None

    def qualify(self, root: nn.Module, name: str) -> str:
        """Put the model's label before the name of a part of it; "" is the model itself."""
        label = self._label(root)
        return f"{label}.{name}" if label and name else label or name

    def match(self, root: nn.Module) -> Match | None:
        """Return what a model is in the file that the training goes on in; None for a new one."""
        return self._earlier.match(root) if self._earlier is not None else None

    def _label(self, root: nn.Module) -> str:
        if (earlier := self._earlier) is not None:
            if not earlier.knows(root):
                earlier.decide([self._candidate(one) for one in self._tree.roots() if not earlier.knows(one)])
            if (match := earlier.match(root)) is not None:
                return match.label
            if self._tree.has_parameters(root):  # a new one: names without a label are those of another
                return _labels(root)[0]
        trained = self._tree.trained_roots()
        return "" if not trained or (trained[0] is root and len(trained) == 1) else _labels(root)[0]

    def _candidate(self, root: nn.Module) -> Candidate:
        names = self._tree.parameter_names(root)
        real = {id(parameter): parameter for parameter in parameters(root) if not is_lazy(parameter)}
        shapes = {name: shape_text(real[key]) for key, (name, _) in names.items() if key in real}
        return Candidate(root, _labels(root), shapes, frozenset(owner for _, owner in names.values()))


def shape_text(parameter: torch.Tensor) -> str:
    """Return the shape of a parameter as it stands in the file."""
    return "x".join(str(size) for size in parameter.shape) or "scalar"


def _labels(root: nn.Module) -> list[str]:
    """Return what a model may be called, best first: as the script itself calls it, if it is a global of the main module, or its class."""
    variables = vars(sys.modules["__main__"])
    named = next((name for name, value in list(variables.items()) if value is root and not name.startswith("_")), "")
    return [*([named] if named else []), class_name(root).lower()]
