"""Tells five kinds of drum stroke apart by their sound: three 1-D convolutions and a linear layer."""

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
TONE = torch.tensor([0.03, 0.05, 0.08, 0.08, 0.2])
DECAY = torch.tensor([40.0, 25.0, 60.0, 15.0, 30.0])
HISS = torch.tensor([0.1, 0.6, 0.3, 0.8, 0.4])


def strokes(n: int, length: int = 160) -> tuple[Tensor, Tensor]:
    kind = torch.randint(0, 5, (n,))
    time = torch.arange(length)
    tone = torch.sin(2 * math.pi * (TONE[kind, None] * (1 + 0.1 * torch.randn(n, 1)) * time + torch.rand(n, 1)))
    sound = (tone + HISS[kind, None] * torch.randn(n, length)) * torch.exp(-time / DECAY[kind, None])
    return 2 * sound.unsqueeze(1), kind


class DrumNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.act1 = nn.Conv1d(1, 24, 15, stride=2), nn.ReLU()
        self.conv2, self.act2 = nn.Conv1d(24, 32, 9, stride=2), nn.ReLU()
        self.conv3, self.act3 = nn.Conv1d(32, 32, 5, stride=2), nn.ReLU()
        self.kind = nn.Linear(32, 5)
        for conv in (self.conv1, self.conv2, self.conv3):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.constant_(conv.bias, 0.0 if args.fixed else -2.0)

    def forward(self, sound: Tensor) -> Tensor:
        h = self.act1(self.conv1(sound))
        h = self.act2(self.conv2(h))
        h = self.act3(self.conv3(h))
        return self.kind(h.mean(2))


model = DrumNet()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.01)
for step in range(200):
    sound, kind = strokes(40)
    logits = model(sound)
    loss = F.cross_entropy(logits, kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f} accuracy {(logits.argmax(1) == kind).float().mean().item():.2f}")
