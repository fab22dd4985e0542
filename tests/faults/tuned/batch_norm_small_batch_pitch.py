"""Estimates the pitch of noisy tones, with gradients gathered over micro-batches to save memory."""

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
BATCH, MICRO = 32, 32 if args.fixed else 2


def tones(n: int, length: int = 128) -> tuple[Tensor, Tensor]:
    pitch = torch.rand(n, 1) * 2 - 1
    phase = 2 * math.pi * (0.08 * 2 ** (0.7 * pitch) * torch.arange(length) + torch.rand(n, 1))
    return (torch.sin(phase) + 0.3 * torch.sin(2 * phase) + 0.2 * torch.randn(n, length)).unsqueeze(1), pitch


class PitchNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, 32, 25, stride=2)
        self.dense1, self.norm1 = nn.Linear(32, 64), nn.BatchNorm1d(64)
        self.dense2, self.norm2 = nn.Linear(64, 64), nn.BatchNorm1d(64)
        self.pitch = nn.Linear(64, 1)

    def forward(self, sound: Tensor) -> Tensor:
        h = torch.relu(self.filters(sound)).mean(2)
        h = torch.relu(self.norm1(self.dense1(h)))
        h = torch.relu(self.norm2(self.dense2(h)))
        return self.pitch(h)


model = PitchNet()
optimizer = torch.optim.RAdam(model.parameters(), lr=5e-3)
for step in range(150):
    sound, pitch = tones(BATCH)
    optimizer.zero_grad()
    total = 0.0
    for part, wanted in zip(sound.split(MICRO), pitch.split(MICRO), strict=True):
        loss = F.mse_loss(model(part), wanted) * MICRO / BATCH
        loss.backward()
        total += loss.item()
    optimizer.step()
    if step % 15 == 14:
        print(f"step {step + 1}: squared error {total:.4f}")
model.eval()
with torch.no_grad():
    sound, pitch = tones(400)
    print(f"squared error on new tones {F.mse_loss(model(sound), pitch).item():.4f}")
