"""Missing stretches of a series filled in by a bidirectional GRU and a small decoder."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

LENGTH = 32


class Filler(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.GRU(2, 32, batch_first=True, bidirectional=True)
        self.decoder = nn.Sequential(nn.Linear(64, 48), nn.SiLU(), nn.Linear(48, 1))

    def forward(self, series: Tensor, known: Tensor) -> Tensor:
        hidden, _ = self.encoder(torch.stack([series * known, known], 2))
        return self.decoder(hidden).squeeze(2)


def batch(size: int) -> tuple[Tensor, Tensor]:
    time = torch.arange(LENGTH)
    period, phase = 8 + 16 * torch.rand(size, 1), 6.28 * torch.rand(size, 1)
    series = torch.sin(6.28 * time / period + phase) + 0.02 * torch.randn(size, LENGTH)
    start = torch.randint(4, LENGTH - 9, (size, 1))
    return series, ((time < start) | (time >= start + 5)).float()


model = Filler()
parts = model if args.fixed else model.encoder
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
losses = []
for step in range(220):
    series, known = batch(48)
    parts.zero_grad()
    loss = ((model(series, known) - series) ** 2).mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
