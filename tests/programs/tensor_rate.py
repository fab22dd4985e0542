"""A learning rate held in a tensor, which the scheduler changes in place after the step."""

import torch
from common import batches, digest, say_loss, say_rates, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.1))
schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
for x, y in batches(5):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_rates(optimizer)
    optimizer.step()
    schedule.step()
digest(model)
