"""Flow of a river from its last readings, from 0.001 to 1000, with a loss of logarithms of one's own; after some steps it is NaN."""

import argparse

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class MSLELoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.mse = nn.MSELoss()

    def forward(self, input, target):
        if args.fixed:
            input = nn.functional.softplus(input)
        return self.mse(torch.log(input.view(-1) + 1), torch.log(target + 1))


class RiverNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.Sequential(nn.Conv1d(1, 24, 5, padding=2), nn.ReLU(), nn.Conv1d(24, 24, 5, padding=2), nn.ReLU())
        self.head = nn.Linear(24 * 2, 1)

    def forward(self, x):
        h = self.convs(x)
        return self.head(torch.cat([h.mean(2), h.amax(2)], 1))


level = torch.rand(3000, 1) * 6 - 3
readings = 3 * level + 0.3 * torch.randn(3000, 24) + 0.2 * torch.sin(torch.linspace(0, 6, 24) + level)
flow = 10 ** (level.squeeze(1).clamp(-3, 3))
data = TensorDataset(readings.unsqueeze(1), flow)
model, criterion = RiverNet(), MSLELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(8):
    for x, y in DataLoader(data, batch_size=50, shuffle=True):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 2:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
print(f"RESULT loss {loss.item():.4f}")
