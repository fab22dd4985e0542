"""A travelling wave half a second later: a network whose layers mix the lowest frequencies of a field."""

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
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Spectral(nn.Module):
    """A linear map for each of the lowest frequencies."""

    def __init__(self, channels: int, modes: int) -> None:
        super().__init__()
        self.modes = modes
        self.weight = nn.Parameter(torch.randn(modes, channels, channels, 2) / channels**0.5)

    def forward(self, x: Tensor) -> Tensor:
        forward, back = ("ortho", "ortho") if args.fixed else ("backward", "forward")
        spectrum = torch.fft.rfft(x, norm=forward)
        low = torch.einsum("bcm,mcd->bdm", spectrum[..., : self.modes], torch.view_as_complex(self.weight))
        return torch.fft.irfft(F.pad(low, (0, spectrum.shape[2] - self.modes)), n=x.shape[2], norm=back)


class Block(nn.Module):
    def __init__(self, channels: int, modes: int) -> None:
        super().__init__()
        self.spectral = Spectral(channels, modes)
        self.local = nn.Conv1d(channels, channels, 1)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.spectral(x) + self.local(x))


def waves(count: int, points: int = 32) -> tuple[Tensor, Tensor]:
    place = 2 * math.pi * torch.arange(points)[None] / points
    now, later = torch.zeros(count, points), torch.zeros(count, points)
    for k in (1, 2, 3):
        amplitude, phase = torch.randn(count, 1) / k, 2 * math.pi * torch.rand(count, 1)
        now += amplitude * torch.sin(k * place + phase)
        later += amplitude * torch.sin(k * place + phase - 0.5 * k**1.5)
    return now.unsqueeze(1), later.unsqueeze(1)


model = nn.Sequential(nn.Conv1d(1, 16, 1), *(Block(16, 6) for _ in range(4)), nn.Conv1d(16, 1, 1)).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(160):
    now, later = (t.to(device) for t in waves(32))
    loss = F.mse_loss(model(now), later)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step}: loss {loss.item():.4g}")
