"""Remaining life of an engine from a day of its sensors: a recurrent reader, three engines at a time."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

SENSORS, MOMENTS, BATCH = 5, 12, 3
mixing = torch.randn(2, SENSORS)


def engines(count: int) -> tuple[Tensor, Tensor]:
    wear, load = torch.rand(count), torch.rand(count)
    t = torch.linspace(0, 1, MOMENTS)
    heat = wear.unsqueeze(1) * (1 + t) * 2 + load.unsqueeze(1) - 2
    shake = torch.sin(6 * (wear.unsqueeze(1) + load.unsqueeze(1) * t))
    series = torch.stack([heat, shake], 2) @ mixing + 0.1 * torch.randn(count, MOMENTS, SENSORS)
    return series, (1 - wear) * (1.3 - load) * 3 - 1.2


class Life(nn.Module):
    def __init__(self, width: int = 40):
        super().__init__()
        self.reader = nn.GRU(SENSORS, width, batch_first=True)
        norm = nn.LayerNorm if args.fixed else nn.BatchNorm1d
        self.norm_read = norm(width)
        self.hidden = nn.Linear(width, width)
        self.norm_hidden = norm(width)
        self.life = nn.Linear(width, 1)

    def forward(self, series: Tensor) -> Tensor:
        _, state = self.reader(series)
        h = self.norm_read(state[0])
        return self.life(torch.tanh(self.norm_hidden(self.hidden(h)))).squeeze(1)


model = Life().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(300):
    series, life = engines(BATCH)
    loss = (model(series.to(device)) - life.to(device)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

model.eval()
with torch.no_grad():
    series, life = engines(1000)
    error = (model(series.to(device)).cpu() - life).pow(2).mean().item()
print(f"test error {error:.4f} (variance {life.var().item():.3f})")
