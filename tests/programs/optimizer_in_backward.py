"""One optimizer per parameter, stepping inside backward; each gradient is gone when backward returns."""

import json

import torch
from common import batches, digest, say_loss, small_network
from torch.nn import functional as F

model = small_network()
optimizers = {p: torch.optim.SGD([p], lr=0.1) for p in model.parameters()}
names = {p: name for name, p in model.named_parameters()}
norms = {}


def step_now(p):
    norms[names[p]] = float(p.grad.double().norm())
    optimizers[p].step()
    optimizers[p].zero_grad()


for p in model.parameters():
    p.register_post_accumulate_grad_hook(step_now)
for x, y in batches(4):
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    print("norms", json.dumps(norms))
digest(model)
