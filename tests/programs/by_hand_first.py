"""Three steps by hand, then an optimizer that gathers gradients over two backward calls and is cleared every step."""

import torch
from common import batches, digest, say_loss, small_network
from torch.nn import functional as F

model = small_network()
data = list(batches(11))
for x, y in data[:3]:
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    with torch.no_grad():
        for p in model.parameters():
            p -= 0.1 * p.grad
            p.grad = None
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for start in range(3, 11, 2):
    optimizer.zero_grad()
    losses = [F.cross_entropy(model(x), y) / 2 for x, y in data[start : start + 2]]
    for loss in losses:
        loss.backward()
    say_loss(*losses)
    optimizer.step()
digest(model)
