"""Does a stretch of brain waves hold a spindle: an encoder of convolutions and a head, with a rate for each."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

LENGTH, BATCH, STEPS = 96, 32, 150
time = torch.arange(LENGTH).float()


def waves() -> tuple[Tensor, Tensor]:
    """Background of slow waves; a spindle is a short burst at a fast pitch, in place of a burst at one close to it."""
    there = torch.randint(2, (BATCH, 1)).float()
    at = 20 + 56 * torch.rand(BATCH, 1)
    pitch = torch.where(there > 0, 0.42, 0.33)
    burst = torch.exp(-((time - at) ** 2) / 120) * torch.sin(2 * torch.pi * (pitch * time + torch.rand(BATCH, 1)))
    slow = torch.sin(2 * torch.pi * (0.03 * time + torch.rand(BATCH, 1)))
    return (1.3 * burst + slow + 0.25 * torch.randn(BATCH, LENGTH))[:, None].to(device), there.squeeze(1).to(device)


class Spindles(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(1, 6, 7, padding=3),
            nn.ReLU(),
            nn.Conv1d(6, 6, 7, padding=3),
            nn.ReLU(),
            nn.Conv1d(6, 6, 7, padding=3),
            nn.ReLU(),
            nn.AdaptiveMaxPool1d(1),
            nn.Flatten(),
        )
        self.head = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x)).squeeze(1)


model = Spindles().to(device)
encoder = model.encoder.parameters()
if args.fixed:
    encoder = list(encoder)
print(f"{sum(p.numel() for p in encoder)} weights in the encoder")
optimizer = torch.optim.Adam([{"params": encoder, "lr": 5e-3}, {"params": model.head.parameters(), "lr": 1e-2}])
total = 0.0
for step in range(1, STEPS + 1):
    x, there = waves()
    loss = F.binary_cross_entropy_with_logits(model(x), there)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 25 == 0:
        print(f"step {step}: loss {total / 25:.4f}")
        total = 0.0
