"""Tells the calls of five groups of whales apart with dilated convolutions and tanh units."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS, LENGTH = 5, 96


def calls(count: int) -> tuple[Tensor, Tensor]:
    group = torch.randint(0, GROUPS, (count,))
    time = torch.arange(LENGTH) / LENGTH
    start = 5 + 2 * (group % 3).unsqueeze(1) + 0.3 * torch.randn(count, 1)
    sweep = 6 * (group // 3).unsqueeze(1) + 0.3 * torch.randn(count, 1)
    phase = torch.rand(count, 1)
    wave = torch.sin(2 * torch.pi * (start * time + sweep * time**2 + phase))
    return (wave + 0.3 * torch.randn(count, LENGTH)).unsqueeze(1), group


class CallNet(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(1 if i == 0 else width, width, 3, dilation=2**i, padding=2**i) for i in range(4))
        self.units = nn.ModuleList(nn.Tanh() for _ in range(4))
        self.group = nn.Linear(width, GROUPS)

    def forward(self, wave: Tensor) -> Tensor:
        for convolution, unit in zip(self.convolutions, self.units, strict=True):
            wave = unit(convolution(wave))
        return self.group(wave.abs().mean(2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    model = CallNet()
    for convolution in model.convolutions:
        if args.fixed:
            nn.init.xavier_normal_(convolution.weight, gain=5 / 3)
        else:
            nn.init.normal_(convolution.weight)
        nn.init.normal_(convolution.bias, std=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for step in range(180):
        wave, group = calls(40)
        loss = F.cross_entropy(model(wave), group)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 20 == 19:
            print(f"step {step}: loss {sum(losses[-20:]) / 20:.4f}")
