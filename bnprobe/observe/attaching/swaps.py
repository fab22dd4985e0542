"""Tensors that are swapped with others.

``torch.utils.swap_tensors`` gives a tensor the content of another, and refuses where a weak reference shows that somebody else knows it.
``Module.to`` and ``load_state_dict`` may go that way. What the recorder knows of a tensor holds for the object, which stays: its own
references are not shown.
"""

from __future__ import annotations

import weakref
from typing import Any

from bnprobe.identity import OwnReference
from bnprobe.observe.attaching.patches import Patches
from bnprobe.torch_private import REFERENCES, SWAPPING_OWNER


class Swaps:
    """Lets tensors be swapped that the recorder refers to."""

    def attach(self, patches: Patches) -> None:
        """Show torch the references of others alone."""
        patches.replace(SWAPPING_OWNER, REFERENCES, lambda module: _OthersReferences(module))  # type: ignore[arg-type, return-value]


class _OthersReferences:
    """Stands for the module ``weakref``."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def getweakrefs(self, thing: object) -> list[weakref.ref[Any]]:
        """Return the references to an object that are not ours."""
        return [reference for reference in self._module.getweakrefs(thing) if not isinstance(reference, OwnReference)]
