"""Two moons and a spiral: no function between the linear layers, so that the network is one linear layer and cannot bend."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
turn = torch.rand(1200) * 2.5 + 0.3
label = torch.randint(0, 2, (1200,))
angle = turn * 2.2 + label * torch.pi
x = torch.stack([turn * angle.cos(), turn * angle.sin()], 1) + 0.05 * torch.randn(1200, 2)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(2, 64), nn.Linear(64, 64), nn.Linear(64, 2)

    def forward(self, points):
        bend = torch.relu if args.fixed else (lambda h: h)
        return self.third(bend(self.second(bend(self.first(points)))))


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(20):
    total = 0.0
    for batch in torch.randperm(1000).split(50):
        loss = F.cross_entropy(model(x[batch]), label[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 20
    if epoch % 4 == 3:
        print(epoch, f"loss {total:.4f}", flush=True)
accuracy = (model(x[1000:]).argmax(1) == label[1000:]).float().mean().item()
print(f"RESULT loss {total:.4f} accuracy {accuracy:.3f}")
