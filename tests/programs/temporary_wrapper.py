"""Layers put into a second container for a moment: they still belong to the model that trains."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = small_network()

    def forward(self, x):
        return self.body(x)


model = Net()
print("parameters", sum(p.numel() for p in nn.Sequential(*list(model.body.children())[:-1]).parameters()))
features = nn.Sequential(*list(model.body.children())[:-1])
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    with torch.no_grad():
        features(x)
digest(model)
