"""Labels every sample of a signal with the kind of its oscillation: a stack of gated, dilated convolutions."""

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


class Gated(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.signal = nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.gate = nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.signal(x)) * torch.sigmoid(self.gate(x))


class Labeller(nn.Module):
    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.inlet = nn.Conv1d(1, channels, 1)
        self.blocks = nn.ModuleList(Gated(channels, 2 ** (i % 4)) for i in range(depth))
        self.outlet = nn.Conv1d(channels, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inlet(x)
        for block in self.blocks:
            x = x + block(x) if args.fixed else block(x)
        return self.outlet(x)


def signals(count: int, length: int = 64) -> tuple[Tensor, Tensor]:
    kind = torch.randint(3, (count, 1)).repeat(1, length)
    half = torch.randint(16, 48, (count, 1))
    kind = torch.where(torch.arange(length)[None] < half, kind, (kind + 1) % 3)
    frequency = torch.tensor([0.05, 0.12, 0.27])[kind]
    phase = 2 * math.pi * (frequency.cumsum(1) + torch.rand(count, 1))
    return (torch.sin(phase) + 0.2 * torch.randn(count, length)).unsqueeze(1), kind


model = Labeller(24, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for step in range(100):
    x, kind = signals(32)
    logits = model(x.to(device))
    loss = F.cross_entropy(logits, kind.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        accuracy = (logits.argmax(1).cpu() == kind).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f} accuracy {accuracy:.2f}")
