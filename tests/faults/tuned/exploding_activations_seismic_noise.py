"""The ground motion under the noise of a seismometer: nine wide convolutions from the trace to the clean trace."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Cleaner(nn.Module):
    def __init__(self, width: int = 16, depth: int = 8, kernel: int = 9) -> None:
        super().__init__()
        self.enter = nn.Conv1d(1, width, kernel, padding=kernel // 2)
        self.layers = nn.ModuleList([nn.Conv1d(width, width, kernel, padding=kernel // 2) for _ in range(depth)])
        self.motion = nn.Conv1d(width, 1, 1)
        for layer in self.layers:
            fan = width * kernel if args.fixed else width
            nn.init.normal_(layer.weight, std=math.sqrt(2 / fan))
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.enter(x))
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.motion(x).squeeze(1)


def quakes(count: int, length: int = 64) -> tuple[Tensor, Tensor]:
    """Return noisy traces (count, 1, length), and what the ground did."""
    t = torch.arange(length)
    since = (t - torch.randint(0, length - 12, (count, 1))).float()
    wave = torch.where(since >= 0, torch.exp(-since / 16) * torch.sin(since * (0.5 + 0.4 * torch.rand(count, 1)) + 1), 0.0)
    wave = 2.5 * wave
    return (wave + 0.3 * torch.randn(count, length))[:, None], wave


model = Cleaner()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, nesterov=True)
for step in range(150):
    x, wave = quakes(32)
    loss = F.mse_loss(model(x), wave)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 15 == 14:
        print(f"step {step + 1}: loss {loss.item():.4f} (power {wave.square().mean().item():.3f})")
