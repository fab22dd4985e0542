"""Denoising of tones with pauses: the loss takes the loudness of each frame, and its eps stands outside of the root."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
EPS = 1e-8
time = torch.arange(256) / 256


def clips(count, pause):
    tone = torch.sin(2 * torch.pi * (torch.rand(count, 1) * 20 + 5) * time)
    gate = torch.ones(count, 256)
    if pause:
        gate[:, 96:192] = 0
    clean = tone * gate
    return clean, (clean + 0.3 * torch.randn(count, 256)) * gate


def loudness(signal):
    frames = signal.unfold(1, 32, 32)
    power = frames.square().mean(2)
    return torch.sqrt(power + EPS) if args.fixed else torch.sqrt(power) + EPS


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(1, 16, 9, padding=4, bias=False)
        self.second = nn.Conv1d(16, 16, 9, padding=4, bias=False)
        self.last = nn.Conv1d(16, 1, 9, padding=4, bias=False)

    def forward(self, signal):
        hidden = torch.tanh(self.first(signal[:, None]))
        return self.last(torch.tanh(self.second(hidden)))[:, 0]


model = Denoiser()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(200):
    clean, noisy = clips(16, pause=step >= 90 and step % 10 == 0)
    out = model(noisy)
    loss = (out - clean).square().mean() + 0.1 * (loudness(out) - loudness(clean)).abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(step, f"loss {loss.item():.4f}", flush=True)
print(f"RESULT loss {loss.item():.4f}")
