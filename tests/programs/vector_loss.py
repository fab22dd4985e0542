"""``backward(gradient=...)`` on a vector of losses: there is no scalar to record."""

import torch
from common import batches, digest, say_norms, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y, reduction="none")
    loss.backward(gradient=torch.full_like(loss, 1 / 8))
    say_norms(model)
    optimizer.step()
digest(model)
