"""Tell four kinds of vibration apart with a 1-D convolutional network."""

import argparse
import itertools
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


def vibrations(count: int) -> tuple[Tensor, Tensor]:
    """Draw signals of 64 points: a tone, two tones, a chirp, a decaying burst."""
    t = torch.linspace(0, 1, 64)
    kind = torch.randint(4, (count,))
    f = 4 + 6 * torch.rand(count, 1)
    phase = 2 * math.pi * torch.rand(count, 1)
    tone = torch.sin(2 * math.pi * f * t + phase)
    shapes = torch.stack(
        [
            tone,
            0.7 * tone + 0.7 * torch.sin(2 * math.pi * 2.3 * f * t),
            torch.sin(2 * math.pi * (f + 8 * t) * t + phase),
            1.8 * torch.exp(-5 * t) * tone,
        ]
    )
    return shapes[kind, torch.arange(count)] + 0.3 * torch.randn(count, 64), kind


class Detector(nn.Module):
    def __init__(self, channels: int = 20, depth: int = 9):
        super().__init__()
        sizes = [1] + [channels] * depth
        self.convs = nn.ModuleList(nn.Conv1d(a, b, 5, padding=2) for a, b in itertools.pairwise(sizes))
        self.head = nn.Linear(channels, 4)
        for conv in self.convs:
            if args.fixed:
                nn.init.kaiming_normal_(conv.weight, a=0.1)
            else:
                nn.init.normal_(conv.weight, std=0.4)
            nn.init.zeros_(conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        for i, conv in enumerate(self.convs):
            x = F.leaky_relu(conv(x), 0.1)
            if i in (2, 5):
                x = F.avg_pool1d(x, 2)
        return self.head(x.mean(dim=2))


signals, kinds = vibrations(2000)
test_signals, test_kinds = vibrations(400)
model = Detector().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(4):
    total = 0.0
    for index in torch.randperm(len(signals)).split(50):
        loss = F.cross_entropy(model(signals[index].unsqueeze(1).to(device)), kinds[index].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(index)
    print(f"epoch {epoch}: loss {total / len(signals):.4g}")

with torch.no_grad():
    right = model(test_signals.unsqueeze(1).to(device)).argmax(1).cpu() == test_kinds
print(f"loss {total / len(signals):.4g}, accuracy {right.float().mean().item():.3f}")
