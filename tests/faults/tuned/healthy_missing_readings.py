"""Sensors of a greenhouse, many of them silent at times, are forecast with masked attention."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


SENSORS = 12
mixing = torch.randn(3, SENSORS)


def readings(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return what was read (not a number where nothing was), which that is, and the next reading with gaps of its own."""
    weather = torch.randn(n, 3)
    now = weather @ mixing + 0.1 * torch.randn(n, SENSORS)
    later = torch.tanh(weather) @ mixing.flip(1) + 0.1 * torch.randn(n, SENSORS)
    heard = torch.rand(n, SENSORS) < 0.6
    heard[:, 0] = True
    later = later.masked_fill(torch.rand(n, SENSORS) < 0.4, float("nan"))
    return now.masked_fill(~heard, float("nan")), heard, later


class Greenhouse(nn.Module):
    def __init__(self, width: int = 32):
        super().__init__()
        self.name = nn.Parameter(torch.randn(SENSORS, width))
        self.value = nn.Linear(1, width)
        self.query, self.key, self.content = (nn.Linear(width, width) for _ in range(3))
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.later = nn.Linear(width * SENSORS, SENSORS)

    def forward(self, now: Tensor, heard: Tensor) -> Tensor:
        x = self.value(torch.nan_to_num(now).unsqueeze(-1)) + self.name
        likeness = self.query(x) @ self.key(x).transpose(1, 2) / x.shape[-1] ** 0.5
        likeness = likeness.masked_fill(~heard.unsqueeze(1), -1e9)
        x = x + torch.softmax(likeness, dim=-1) @ self.content(x)
        x = x + self.down(F.gelu(self.up(self.norm(x))))
        return self.later(x.flatten(1))


model = Greenhouse()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(200):
    now, heard, later = readings(64)
    known = ~later.isnan()
    error = torch.where(known, model(now, heard) - torch.nan_to_num(later), 0.0)
    loss = error.square().sum() / known.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step}: loss {loss.item():.4f}")
