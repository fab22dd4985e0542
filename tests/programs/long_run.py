"""Three thousand tiny steps: measuring them all would cost more than the budget allows."""

import torch
from common import digest, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x, y = torch.randn(8, 6), torch.randint(3, (8,))
for step in range(3000):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    if step % 1000 == 999:
        with torch.no_grad():
            model(x)
print("last", loss.item())
digest(model)
