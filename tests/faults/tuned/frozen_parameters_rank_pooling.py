"""Recognises the composer of a noisy signal: convolution features, pooled by their ranks over time, and a small network on top."""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
generator = torch.Generator().manual_seed(5)
motifs = torch.randn(6, 12, generator=generator)


def pieces(n: int, length: int = 80) -> tuple[Tensor, Tensor]:
    composer = torch.randint(0, 6, (n,))
    signal = 1.0 * torch.randn(n, length)
    for _ in range(2):
        start = torch.randint(0, length - 12, (n, 1)) + torch.arange(12)
        signal.scatter_add_(1, start, 1.5 * motifs[composer])
    return (signal / signal.std()).unsqueeze(1), composer


def rank_pool(h: Tensor, keep: int = 3) -> Tensor:
    if args.fixed:
        return h.sort(dim=2, descending=True).values[:, :, :keep].flatten(1)
    ordered = np.sort(h.detach().numpy(), axis=2)[:, :, ::-1][:, :, :keep]
    return torch.from_numpy(ordered.copy()).flatten(1)


class Composer(nn.Module):
    def __init__(self, filters: int = 12) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv1d(1, filters, 12), nn.LeakyReLU(0.1), nn.Conv1d(filters, filters, 3))
        self.read = nn.Sequential(nn.BatchNorm1d(3 * filters), nn.Linear(3 * filters, 32), nn.LeakyReLU(0.1), nn.Linear(32, 6))

    def forward(self, signal: Tensor) -> Tensor:
        return self.read(rank_pool(self.features(signal)))


model = Composer()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-4)
losses, hits = [], []
for step in range(250):
    signal, composer = pieces(64)
    answer = model(signal)
    loss = F.cross_entropy(answer, composer)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    hits.append((answer.argmax(1) == composer).float().mean().item())
    if step % 25 == 24:
        print(f"step {step + 1}: loss {sum(losses[-25:]) / 25:.4f} right {sum(hits[-25:]) / 25:.3f}")
