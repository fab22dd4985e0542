"""An inverse problem: a 1-D convolutional network takes the blur off spiky signals."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

kernel = torch.exp(-(torch.arange(-4.0, 5.0) ** 2) / 4)
kernel = (kernel / kernel.norm())[None, None]


def measure(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    spikes = torch.randn(count, 1, 64) * (torch.rand(count, 1, 64) < 0.15) * 2
    return F.conv1d(spikes, kernel, padding=4) + 0.03 * torch.randn(count, 1, 64), spikes


class Sharpen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.open = nn.Conv1d(1, 32, 9, padding=4)
        self.inner = nn.ModuleList([nn.Conv1d(32, 32, 5, padding=2) for _ in range(2)])
        self.close = nn.Conv1d(32, 1, 9, padding=4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.open(x))
        for layer in self.inner:
            x = F.relu(layer(x))
        return self.close(x)


model = Sharpen()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3 if args.fixed else 20.0)
recent = []
for step in range(200):
    blurred, spikes = measure(32)
    loss = F.mse_loss(model(blurred), spikes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    recent = [*recent, loss.item()][-20:]
    if step % 40 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
print(f"mean loss of the last twenty steps: {sum(recent) / len(recent):.4f}")
