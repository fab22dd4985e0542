"""One step out of several is watched, by modes that count functions and operations, and a forward is traced: none of ours is among them."""

from __future__ import annotations

from typing import Any

import torch
from common import batches, digest, say_loss, small_network
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


class Functions(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        seen.append(getattr(func, "__name__", str(func)))
        return func(*args, **(kwargs or {}))


class Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        seen.append(str(func))
        return func(*args, **(kwargs or {}))


def train(x: torch.Tensor, y: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    optimizer.step()


seen: list[str] = []
for number, (x, y) in enumerate(batches(8)):
    if number == 2:
        with Functions():
            train(x, y)
        print("functions", seen)
    elif number == 4:
        seen.clear()
        with Operations():
            train(x, y)
        print("operations", seen)
    else:
        train(x, y)
    if number == 6:
        with torch.no_grad():
            print("traced", [str(node.target) for node in make_fx(lambda x, y: F.cross_entropy(model(x), y))(x, y).graph.nodes])
        print("traced", [str(node.target) for node in make_fx(lambda x, y: F.cross_entropy(model(x), y))(x, y).graph.nodes])
digest(model)
