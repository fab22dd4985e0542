"""A network that grows a layer after two steps; the optimizer is told with add_param_group."""

import torch
from common import batches, digest, say_loss, say_norms, say_rates
from torch import nn
from torch.nn import functional as F


class Grown(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6)])
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)


model = Grown()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step, (x, y) in enumerate(batches(5)):
    if step == 2:
        model.layers.append(nn.Linear(6, 6))
        optimizer.add_param_group({"params": model.layers[1].parameters(), "lr": 0.05})
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    say_rates(optimizer)
    optimizer.step()
digest(model)
