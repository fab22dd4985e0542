"""Hinge regression of a yield on eight soil measurements, hinges spread over the range of each."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Hinges(nn.Module):
    def __init__(self, low: Tensor, high: Tensor, per_column: int = 12) -> None:
        super().__init__()
        columns = len(low)
        self.basis = nn.Linear(columns, columns * per_column)
        self.relu = nn.ReLU()
        self.mix = nn.Linear(columns * per_column, 32)
        self.act = nn.SiLU()
        self.out = nn.Linear(32, 1)
        with torch.no_grad():
            self.basis.weight.copy_(torch.eye(columns).repeat_interleave(per_column, dim=0))
            knots = torch.stack([torch.linspace(a, b, per_column) for a, b in zip(low.tolist(), high.tolist(), strict=True)])
            self.basis.bias.copy_(-knots.flatten())

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.act(self.mix(self.relu(self.basis(x))))).squeeze(1)


spread = torch.tensor([5.0, 8.0, 3.0, 12.0, 6.0, 4.0, 9.0, 7.0])
soil = spread * (torch.randn(2500, 8) + 8)
scaled = (soil - soil.mean(dim=0)) / soil.std(dim=0)
crop = torch.sin(2 * scaled[:, 0]) + scaled[:, 1].abs() - 0.5 * scaled[:, 2] * scaled[:, 3].sign() + 0.1 * torch.randn(2500)
crop = (crop - crop.mean()) / crop.std()

columns = scaled if args.fixed else soil
model = Hinges(columns.amin(dim=0), columns.amax(dim=0))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(250):
    rows = torch.randint(len(scaled), (64,))
    loss = F.smooth_l1_loss(model(scaled[rows]), crop[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step}: loss {loss.item():.4g}")
