"""Which machine is running: log power spectra of its sound, by a matrix product, and a small classifier in half precision."""

import argparse
import contextlib
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

SAMPLES, BINS, MACHINES = 1024, 64, 6
pitch = torch.randint(3, BINS - 3, (MACHINES, 4)).float()
loudness = torch.rand(MACHINES, 4) + 0.3


def record(count: int) -> tuple[Tensor, Tensor]:
    machine = torch.randint(MACHINES, (count,))
    t = torch.arange(SAMPLES) / SAMPLES
    bent = pitch[machine] * (1 + 0.02 * torch.randn(count, 4))
    waves = torch.sin(2 * math.pi * (bent.unsqueeze(2) * t + torch.rand(count, 4, 1)))
    return (loudness[machine].unsqueeze(2) * waves).sum(1) + 0.8 * torch.randn(count, SAMPLES), machine


class Spectrum(nn.Module):
    def __init__(self):
        super().__init__()
        angle = 2 * math.pi * torch.outer(torch.arange(SAMPLES), torch.arange(1, BINS + 1)) / SAMPLES
        self.register_buffer("cosine", angle.cos())
        self.register_buffer("sine", angle.sin())

    def forward(self, sound: Tensor) -> Tensor:
        real, imaginary = sound @ self.cosine, sound @ self.sine
        return real * real + imaginary * imaginary


class Listener(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.spectrum = Spectrum()
        self.norm = nn.LayerNorm(BINS)
        self.hidden = nn.Linear(BINS, width)
        self.machine = nn.Linear(width, MACHINES)

    def forward(self, sound: Tensor) -> Tensor:
        power = self.spectrum(sound)
        return self.machine(torch.relu(self.hidden(self.norm(torch.log1p(power)))))


model = Listener().to(device)
optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
for step in range(120):
    sound, machine = record(32)
    half = contextlib.nullcontext() if args.fixed else torch.autocast(device.type, dtype=torch.float16)
    with half:
        logits = model(sound.to(device))
    loss = F.cross_entropy(logits.float(), machine.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 12 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    sound, machine = record(600)
    right = (model(sound.to(device)).argmax(1).cpu() == machine).float().mean().item()
print(f"test accuracy {right:.3f}")
