"""Finds the damaged wheel of a gearbox in its vibration: filters that begin as moving averages, pooled energies, a linear layer."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
TONES = torch.tensor([0.4, 0.9, 1.5, 2.2, 2.8])


def vibrations(n: int, length: int = 64) -> tuple[Tensor, Tensor]:
    wheel = torch.randint(0, 5, (n,))
    time = torch.arange(length).float()
    strength = torch.rand(n, 5) + 0.2
    strength[torch.arange(n), wheel] += 1.2
    phase = torch.rand(n, 5, 1) * 6.28
    signal = (strength.unsqueeze(2) * torch.sin(TONES.reshape(5, 1) * time + phase)).sum(dim=1)
    return (signal / 1.8 + 0.2 * torch.randn(n, length)).unsqueeze(1), wheel


class GearNet(nn.Module):
    def __init__(self, filters: int = 24) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, filters, 9)
        self.mix = nn.Conv1d(filters, filters, 3, stride=2)
        self.wheel = nn.Linear(filters, 5)
        if not args.fixed:
            for layer in (self.filters, self.mix, self.wheel):
                nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
                nn.init.zeros_(layer.bias)

    def forward(self, signal: Tensor) -> Tensor:
        h = F.gelu(self.filters(signal))
        h = F.gelu(self.mix(h))
        return self.wheel(h.mean(dim=2))


model = GearNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
losses, hits = [], []
for step in range(200):
    signal, wheel = vibrations(64)
    answer = model(signal)
    loss = F.cross_entropy(answer, wheel)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    hits.append((answer.argmax(1) == wheel).float().mean().item())
    if step % 20 == 19:
        print(f"step {step + 1}: loss {sum(losses[-20:]) / 20:.4f} right {sum(hits[-20:]) / 20:.3f}")
