"""``torch.autograd.backward`` of two scalar losses at once descends their sum."""

import torch
from common import batches, digest, say_norms, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    logits = model(x)
    first, second = F.cross_entropy(logits, y), logits.square().mean()
    torch.autograd.backward([first, second])
    print("loss", (first + second).item())
    say_norms(model)
    optimizer.step()
digest(model)
