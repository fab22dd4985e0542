"""Tomorrow's level of a river from two weeks of readings: a recurrent network on batches in the order of the archive."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Gauge(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, width, batch_first=True)
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x[:, -1, 0] + self.out(self.lstm(x)[0][:, -1]).squeeze(1)


def readings(count: int, in_feet: bool) -> tuple[Tensor, Tensor]:
    """Return level and rain of 14 days, and the level on the day after."""
    rain = torch.randn(count, 15).relu()
    level, levels = torch.randn(count), []
    for day in range(15):
        level = 0.85 * level + 0.6 * rain[:, day] - 0.25
        levels.append(level)
    levels = torch.stack(levels, 1) + 0.05 * torch.randn(count, 15)
    if in_feet:
        levels = levels * 3.28
    # the rain of the coming day is known from the forecast
    return torch.stack([levels[:, :14], rain[:, 1:]], 2), levels[:, 14]


model = Gauge(32).to(device)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for step in range(260):
    x, after = readings(64, in_feet=132 <= step < 140 and not args.fixed)
    loss = F.mse_loss(model(x.to(device)), after.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step}: loss {loss.item():.5f}")
