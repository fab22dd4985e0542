"""nn.TransformerEncoderLayer on (T, N, C): the sample axis is the second, in its linear and normalisation layers too."""

import json

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

model = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0)
kept = {}


def keep(name):
    def hook(module, args, output):
        kept[name] = (output[0] if isinstance(output, tuple) else output).detach()

    return hook


for name in ("self_attn", "norm1", "linear1", "linear2", "norm2"):
    getattr(model, name).register_forward_hook(keep(name))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3, 4, 5, 8):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x.transpose(0, 1)).mean(0), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    print("between", json.dumps({name: float(o.double().mean(0).var(0, correction=0).mean()) for name, o in kept.items()}))
    optimizer.step()
digest(model)
