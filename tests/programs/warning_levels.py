"""Warnings about the caller's caller, by whose module the script turns them into errors."""

import warnings

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F


def warn(place, frames):
    for level in range(1, frames + 1):
        warnings.warn(f"{place}, {level} up", stacklevel=level)


class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        warn("backward", 7)
        return gradient / 2


class Descent(torch.optim.SGD):
    def add_param_group(self, group):
        warn("group", 5)
        super().add_param_group(group)

    def step(self, closure=None):
        warn("step", 4)
        return super().step(closure)


class Network(nn.Sequential):
    def train(self, mode=True):
        warn("mode", 3)
        return super().train(mode)


model = Network(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
model[0].register_full_backward_hook(lambda module, inputs, outputs: None)  # torch warns: no input needs a gradient
warnings.simplefilter("always")
optimizer = Descent(model.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
refused = 0
for step, (x, y) in enumerate(batches(6)):
    if step == 4:
        warnings.filterwarnings("error", "Full backward hook", module="__main__")
    model.eval()
    model.train()
    optimizer.zero_grad()

    def closure(x=x, y=y):
        warn("closure", 8)
        loss = F.cross_entropy(Scaled.apply(model(x)), y)
        loss.backward()
        say_loss(loss)
        say_norms(model)
        return loss

    if step == 5:
        warnings.filterwarnings("default", "Full backward hook", module="__main__")
    if step % 2:
        optimizer.step(closure)
    elif step < 4:
        loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        say_loss(loss)
        say_norms(model)
        scaler.step(optimizer)
        scaler.update()
    else:
        try:
            F.cross_entropy(model(x), y).backward()
        except UserWarning:
            refused += 1
print(refused)
digest(model)
