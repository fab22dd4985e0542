"""Two forwards of one model for one backward, and the script's training accuracy from a third, with gradient, after the step."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), model(x.flip(0)).detach()) + F.cross_entropy(model(x + 1), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
