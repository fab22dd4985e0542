"""In evaluation torch's encoder layers read weights and eps of their parts, and never call them, unless told not to."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from torch import nn

from bnprobe.remedies.remedy import Remedy
from bnprobe.remedies.scope import Scope


def leave_fast_paths(remedy: Remedy[Any], scope: Scope, changed: Container[int]) -> None:
    """Have the encoder layers that hold one of some changed parts, by ``id``, call their parts."""
    layers = [one for _, one in scope.modules() if isinstance(one, nn.TransformerEncoderLayer)]
    slow = [layer for layer in layers if any(id(child) in changed for child in layer.children())]
    for layer in slow:
        remedy.set_attribute(layer, "activation_relu_or_gelu", 0)
    for _, encoder in scope.modules():
        if isinstance(encoder, nn.TransformerEncoder) and any(one is layer for one in encoder.modules() for layer in slow):
            remedy.set_attribute(encoder, "use_nested_tensor", False)
