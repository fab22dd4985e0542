"""Takes the echo out of short recordings: one-dimensional convolutions, every step over four micro-batches."""

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

MICRO_BATCHES = 4


def recordings(count: int, length: int = 64) -> tuple[Tensor, Tensor]:
    clicks = (torch.rand(count, 1, length) < 0.08).float() * torch.randn(count, 1, length)
    ringing = torch.exp(-torch.arange(8.0) / 2) * torch.cos(torch.arange(8.0))
    clean = F.conv1d(F.pad(clicks, (7, 0)), ringing.flip(0).view(1, 1, 8))
    return clean + 0.7 * F.pad(clean, (9, 0))[..., :length] + 0.02 * torch.randn(count, 1, length), clean


model = nn.Sequential(
    nn.Conv1d(1, 16, 9, padding=8, dilation=2),
    nn.PReLU(),
    nn.Conv1d(16, 16, 9, padding=8, dilation=2),
    nn.PReLU(),
    nn.Conv1d(16, 1, 9, padding=4),
).to(device)
optimizer = torch.optim.NAdam(model.parameters(), lr=4e-3)
step = 0
for epoch in range(2):
    optimizer.zero_grad()
    for batch in range(75 * MICRO_BATCHES):
        x, clean = recordings(16)
        loss = F.mse_loss(model(x.to(device)), clean.to(device)) / clean.var()
        (loss / MICRO_BATCHES).backward()
        if (batch + 1) % MICRO_BATCHES == 0:
            optimizer.step()
            step += 1
            if args.fixed:
                optimizer.zero_grad()
    print(f"epoch {epoch}, step {step}: loss {loss.item():.4f}")
