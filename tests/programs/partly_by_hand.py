"""An optimizer for the head; the body, which is called, and a bare tensor are moved by hand; one layer is in no optimizer and stays."""

import torch
from common import batches, digest, say_loss
from torch import nn
from torch.nn import functional as F

body, head, still = nn.Linear(6, 8), nn.Linear(8, 3), nn.Linear(3, 3)
scale = torch.ones(3, requires_grad=True)
optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(still(head(torch.tanh(body(x)))) * scale, y)
    loss.backward()
    say_loss(loss)
    optimizer.step()
    with torch.no_grad():
        for parameter in (*body.parameters(), scale):
            parameter -= 0.1 * parameter.grad
            parameter.grad = None
digest(body, head, still, scale)
