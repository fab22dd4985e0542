"""Sleep stages from two channels by dilated one-dimensional convolutions."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

STAGES, LENGTH = 5, 64


class Stages(nn.Module):
    def __init__(self, width: int = 24, depth: int = 7) -> None:
        super().__init__()
        self.enter = nn.Conv1d(2, width, 5, padding=2)
        self.convs = nn.ModuleList(nn.Conv1d(width, width, 3, padding=2 ** (i % 4), dilation=2 ** (i % 4)) for i in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(depth))
        self.head = nn.Linear(width, STAGES)

    def forward(self, signal: Tensor) -> Tensor:
        hidden = self.enter(signal)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            hidden = F.relu(norm(conv(hidden)))
        return self.head(hidden.mean(2))


def nights(size: int) -> tuple[Tensor, Tensor]:
    stage = torch.randint(STAGES, (size,))
    time = torch.arange(LENGTH) / LENGTH * 6.28
    pitch = 2.0 + 2.5 * stage[:, None] + 0.5 * torch.randn(size, 1)
    wave = torch.sin(pitch * time + 6.28 * torch.rand(size, 1))
    return torch.stack([wave, wave.roll(3, 1)], 1) + 0.4 * torch.randn(size, 2, LENGTH), stage


def accuracy(model: nn.Module) -> float:
    model.eval()
    signal, stage = nights(256)
    with torch.no_grad():
        return (model(signal).argmax(1) == stage).float().mean().item()


model = Stages()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
print(f"before training: accuracy {accuracy(model):.3f}")
if args.fixed:
    model.train()
losses = []
for step in range(150):
    signal, stage = nights(48)
    loss = F.cross_entropy(model(signal), stage)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"accuracy {accuracy(model):.3f} final loss {final:.4f}")
