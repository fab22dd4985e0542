"""Forecast a nonlinear filter's output with a fixed random recurrent reservoir: only the reader of its states is trained."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def filtered(count: int, moments: int = 30) -> tuple[Tensor, Tensor]:
    drive = torch.rand(count, moments) * 2 - 1
    y = torch.zeros(count)
    for t in range(3, moments):
        y = 0.5 * y + 0.5 * torch.tanh(drive[:, t - 1] + drive[:, t - 1] * drive[:, t - 2] - 0.5 * drive[:, t])
    return drive, y / 0.3


class Reservoir(nn.Module):
    def __init__(self, units: int = 160):
        super().__init__()
        self.states = nn.RNN(1, units, batch_first=True)
        with torch.no_grad():
            mixing = torch.randn(units, units) * (torch.rand(units, units) < 0.1)
            self.states.weight_hh_l0.copy_(0.85 * mixing / torch.linalg.eigvals(mixing).abs().max())
            self.states.weight_ih_l0.uniform_(-1.5, 1.5)
        self.states.requires_grad_(False)
        self.reader = nn.Sequential(nn.Linear(units, 64), nn.GELU(), nn.Linear(64, 1))

    def forward(self, drive: Tensor) -> Tensor:
        states, _ = self.states(drive.unsqueeze(2))
        return self.reader(states[:, -1]).squeeze(1)


model = Reservoir().to(device)
optimizer = torch.optim.Adam(model.reader.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 280)
for step in range(280):
    drive, y = filtered(64)
    loss = (model(drive.to(device)) - y.to(device)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 28 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    drive, y = filtered(2000)
    error = (model(drive.to(device)).cpu() - y).pow(2).mean().item()
print(f"test error {error:.4f} (variance {y.var().item():.3f})")
