"""Data, weights and losses of a class that computes by code of the script and prints what it is asked: the recorder asks it nothing."""

import torch
from common import batches, digest
from torch import nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map


class Logged(torch.Tensor):
    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, strides=inner.stride(), dtype=inner.dtype, device=inner.device)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        def unwrap(x):
            return x.inner if isinstance(x, Logged) else x

        def wrap(x):
            return Logged(x) if isinstance(x, torch.Tensor) else x

        print(func)
        return tree_map(wrap, func(*tree_map(unwrap, args), **tree_map(unwrap, kwargs or {})))


model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
model[2].weight = nn.Parameter(Logged(model[2].weight.detach()))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, foreach=False)
scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
for step, (x, y) in enumerate(batches(6)):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(Logged(x) if step == 5 else x), y)
    print(step, type(loss).__name__)
    if step == 2:
        for parameter, gradient in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters())), strict=True):
            parameter.grad = gradient
    elif step == 3:
        scaler.scale(loss).backward()
    else:
        loss.backward()
    if step > 3:
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
digest(*(parameter.inner if isinstance(parameter, Logged) else parameter for parameter in model.parameters()))
