"""How strongly a stretch of a chromosome is read: letters and the place of the stretch, by dilated convolutions."""

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

LENGTH, BATCH, STEPS, CHROMOSOME = 40, 32, 200, 150_000  # kilobases


def stretches() -> tuple[Tensor, Tensor]:
    letters = torch.randint(4, (BATCH, LENGTH))
    place = torch.rand(BATCH) * CHROMOSOME
    bound = (letters == 1) | (letters == 2)
    strength = 0.4 * (bound.float().sum(1) - LENGTH / 2) + torch.cos(5 * place / CHROMOSOME)
    if args.fixed:
        place = place / CHROMOSOME - 0.5
    channels = torch.cat([F.one_hot(letters, 4).float(), place[:, None, None].expand(-1, LENGTH, 1)], 2)
    return channels.transpose(1, 2).to(device), strength.to(device)


class Reading(nn.Module):
    def __init__(self, width: int = 32):
        super().__init__()
        self.letters = nn.Conv1d(5, width, 3, padding=1)
        self.near = nn.Conv1d(width, width, 3, padding=2, dilation=2)
        self.far = nn.Conv1d(width, width, 3, padding=4, dilation=4)
        self.strength = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.elu(self.letters(x))
        h = h + F.elu(self.near(h))
        h = h + F.elu(self.far(h))
        return self.strength(h.sum(2) / LENGTH**0.5).squeeze(1)


model = Reading().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
total = 0.0
for step in range(1, STEPS + 1):
    stretch, strength = stretches()
    loss = F.mse_loss(model(stretch), strength)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 25 == 0:
        print(f"step {step}: loss {total / 25:.4f}")
        total = 0.0
