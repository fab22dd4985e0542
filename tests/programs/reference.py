"""Says what every layer's activation and activation gradient are, in float64, seen by the script's own hooks."""

import json

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

model = nn.Sequential(
    nn.Conv2d(3, 4, 3),
    nn.BatchNorm2d(4),
    nn.ReLU(inplace=True),
    nn.Conv2d(4, 5, 3),
    nn.SiLU(),
    nn.Flatten(),
    nn.Linear(80, 7),
    nn.LayerNorm(7),
)
signals: dict[str, dict[str, list[float]]] = {}


def describe(x, is_map):
    """Return the common, between-sample and within-sample energy, and the largest value."""
    x = x.detach().double().reshape(x.shape[0], x.shape[1], -1) if is_map else x.detach().double()[:, :, None]
    means = x.mean(2)
    split = [means.mean(0).square().mean(), means.var(0, correction=0).mean(), x.var(2, correction=0).mean(), x.max()]
    return [float(value) for value in split]


def watch(name):
    def see_gradient(gradient):
        signals[name]["gradient"] = describe(gradient, gradient.dim() == 4)

    def see(module, args, output):
        signals[name] = {"activation": describe(output, output.dim() == 4)}
        output.register_hook(see_gradient)

    return see


for name, module in model.named_children():
    if name != "5":
        module.register_forward_hook(watch(name))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3, 6, 3, 8, 8):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    print("signals", json.dumps(signals))
    optimizer.step()
digest(model)
