"""A GRU estimates the tempo of a drum track; weights are decayed by hand after every step."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


LENGTH = 48


def tracks(n: int) -> tuple[Tensor, Tensor]:
    period = 4 + 8 * torch.rand(n, 1)
    t = torch.arange(LENGTH)
    beat = torch.exp(-2.0 * (1 - torch.cos(6.28 * (t / period + torch.rand(n, 1)))))
    return (beat + 0.1 * torch.randn(n, LENGTH) - 0.3).unsqueeze(-1), (period.squeeze(1) - 8) / 2.3


class Tempo(nn.Module):
    def __init__(self, width: int = 40):
        super().__init__()
        self.front = nn.Linear(4, 24)
        self.gru = nn.GRU(24, width, batch_first=True)
        self.tempo = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.front(x.reshape(len(x), LENGTH // 4, 4)))
        return self.tempo(self.gru(x)[0][:, -1]).squeeze(1)


LR, DECAY = 5e-3, 0.04
model = Tempo()
optimizer = torch.optim.Adam(model.parameters(), lr=LR)
for step in range(250):
    x, tempo = tracks(64)
    loss = F.mse_loss(model(x), tempo)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1 - LR * DECAY if args.fixed else 1 - DECAY)
    if step % 50 == 49:
        print(f"step {step}: loss {loss.item():.4f}")
