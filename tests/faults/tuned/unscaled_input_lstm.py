"""Forecast a sensor that reads some thousands, relative to its last reading."""

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

time = torch.arange(4000).float()
series = 3000 + 400 * torch.sin(time / 7) + 200 * torch.sin(time / 23) + 20 * torch.randn(4000)
inputs = (series - series.mean()) / series.std() if args.fixed else series
target = (series - series.mean()) / series.std()
WINDOW = 24


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 48, batch_first=True)
        self.head = nn.Linear(48, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x.unsqueeze(2))[0][:, -1]).squeeze(1)


model = Forecaster().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
for step in range(150):
    start = torch.randint(len(series) - WINDOW - 1, (64,))
    x = torch.stack([inputs[i : i + WINDOW] for i in start]).to(device)
    y = target[start + WINDOW].to(device)
    loss = F.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
