"""Zeroing, forward and backward inside ``step(closure=...)``, as Lightning does it; the gradients exist only within."""

import torch
from common import batches, digest, say_loss, say_norms, say_rates, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
for x, y in batches(4):

    def closure(x=x, y=y):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        say_loss(loss)
        say_norms(model)
        return loss

    say_rates(optimizer)
    optimizer.step(closure=closure)
    schedule.step()
digest(model)
