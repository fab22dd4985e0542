"""OneCycleLR moves momentum, too."""

import torch
from common import batches, digest, say_loss, say_rates, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.3, total_steps=6)
for x, y in batches(6):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_rates(optimizer)
    print("momentum", optimizer.param_groups[0]["momentum"])
    optimizer.step()
    schedule.step()
digest(model)
