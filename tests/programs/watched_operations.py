"""The script counts its own torch operations, by dispatch and by function: the recorder's must not be among them."""

import torch
from common import batches, digest, say_loss, small_network
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode


class Dispatched(TorchDispatchMode):
    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


class Called(TorchFunctionMode):
    count = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    with Dispatched() as dispatched, Called() as called, FlopCounterMode(display=False) as flops:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    say_loss(loss)
    print(dispatched.count, called.count, flops.get_total_flops())
digest(model)
