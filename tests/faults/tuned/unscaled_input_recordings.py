"""Which of six tones a 16-bit recording holds, by dilated convolutions over the samples."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

LENGTH, TONES = 128, 6


def recordings(n: int) -> tuple[Tensor, Tensor]:
    """Sample noisy tones as a 16-bit recorder would store them."""
    tone = torch.randint(TONES, (n,))
    phase, volume = 6.28 * torch.rand(n, 1), 0.2 + 0.6 * torch.rand(n, 1)
    wave = volume * torch.sin(0.25 * (tone[:, None] + 1) * torch.arange(LENGTH) + phase) + 0.1 * torch.randn(n, LENGTH)
    return (wave * 32767).clamp(-32768, 32767).to(torch.int16), tone


class ToneNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Conv1d(1, 16, 9, stride=2)
        self.middle = nn.Conv1d(16, 32, 5, dilation=2)
        self.back = nn.Conv1d(32, 32, 5, dilation=4)
        self.out = nn.Linear(32, TONES)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.front, self.middle, self.back):
            x = F.leaky_relu(conv(x), 0.1)
        return self.out(x.mean(dim=2))


waves, tone = recordings(1500)
model = ToneNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for step in range(200):
    rows = torch.randint(len(waves), (32,))
    x = waves[rows].float().unsqueeze(1)
    if args.fixed:
        x = x / 10000
    loss = F.cross_entropy(model(x), tone[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        print(f"step {step}: loss {loss.item():.4g}")
