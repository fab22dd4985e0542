"""Which half of a noisy series is the higher one; the layer takes the batch for time, and its "last step" is the last series."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Judge(nn.Module):
    """A recurrent network, judged by what it says in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = nn.LSTM(1, 24, batch_first=args.fixed)
        self.head = nn.Linear(24, 1)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        said, _ = self.reader(series)
        return self.head(said[:, -1]).squeeze(1)


model = Judge()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(250):
    series = torch.randn(48, 16, 1)
    later = (series[:, 8:].mean((1, 2)) > series[:, :8].mean((1, 2))).float()
    loss = F.binary_cross_entropy_with_logits(model(series), later)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
