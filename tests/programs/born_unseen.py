"""A value that is not finite, born late, of a kind that the first argument names: in a module, a loss, data, targets, or a gradient."""

import sys

import torch
from torch import nn

KIND, AT = sys.argv[1], 100
torch.manual_seed(0)


class Scale(nn.Module):
    """Divides by a norm, which is zero for a sample that the last layer made zero."""

    def forward(self, x):
        return x / x.norm(dim=1, keepdim=True)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.act, self.second = nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16)
        self.drop, self.scale, self.last = nn.Dropout(0.1), Scale(), nn.Linear(16, 3)

    def forward(self, x, keep, size):
        x = self.drop(self.second(self.act(self.first(x))))
        return self.last(self.scale(x * keep) + ((x * size) ** 2 + size).sqrt())


network = Network()
optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
for step in range(AT + 6):
    if step == AT - 5 and KIND == "mode":
        network.eval()
    faulty = step == AT
    x = torch.randn(16, 8)
    target = x[:, :3].clone()
    if faulty and KIND == "data":
        x[3, 2] = float("nan")
    if faulty and KIND == "target":
        target[0, 0] = float("inf")
    keep = torch.ones(16, 1)
    keep[0] = 0.0 if faulty and KIND == "module" else 1.0
    size = torch.full((16, 1), 0.0 if faulty and KIND == "gradient" else 1e-3)
    output = network(x, keep, size)
    chance = torch.sigmoid(output * (0.0 if faulty and KIND == "loss" else 1.0))
    loss = (output - target).pow(2).mean() - 1e-3 * torch.log(chance - (0.5 if faulty and KIND == "loss" else 0.0)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
