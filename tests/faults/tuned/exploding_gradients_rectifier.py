"""Recognises sung vowels by their overtones: a deep stack of narrow 1-D convolutions with full-wave rectifiers."""

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
FORMANTS = torch.tensor([[0.10, 0.16], [0.06, 0.27], [0.04, 0.33], [0.07, 0.12], [0.05, 0.09]])


def vowels(n: int, length: int = 96) -> tuple[Tensor, Tensor]:
    vowel = torch.randint(0, 5, (n,))
    pitch = 0.012 + 0.01 * torch.rand(n, 1, 1)
    overtone = pitch * torch.arange(1, 25)[None, :, None]
    loudness = sum(torch.exp(-(((overtone - FORMANTS[vowel, i, None, None]) / 0.025) ** 2)) for i in range(2))
    waves = torch.sin(2 * math.pi * (overtone * torch.arange(length) + torch.rand(n, 24, 1)))
    return (loudness * waves).sum(1, keepdim=True) + 0.1 * torch.randn(n, 1, length), vowel


class Rectifier(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, 0.3) if args.fixed else x.abs()


layers: list[nn.Module] = []
channels = 1
for index in range(16):
    stride = 2 if index in (4, 9, 14) else 1
    layers += [nn.Conv1d(channels, 20, 5, stride=stride, padding=2, bias=False), nn.BatchNorm1d(20), Rectifier()]
    channels = 20
model = nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(20, 5))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for step in range(140):
    sound, vowel = vowels(48)
    logits = model(sound)
    loss = F.cross_entropy(logits, vowel)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 14 == 13:
        print(f"step {step + 1}: loss {loss.item():.4f} accuracy {(logits.argmax(1) == vowel).float().mean().item():.2f}")
