"""Which of eight tunes a noisy sequence of notes varies: an encoder with the customary inverse square root schedule."""

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

NOTES, LENGTH, TUNES, BATCH, STEPS, WIDTH = 24, 20, 8, 32, 160, 48
WARM_UP = 40 if args.fixed else 40_000
tunes = torch.randint(NOTES, (TUNES, LENGTH))


def batch() -> tuple[Tensor, Tensor]:
    which = torch.randint(TUNES, (BATCH,))
    played = torch.where(torch.rand(BATCH, LENGTH) < 0.3, torch.randint(NOTES, (BATCH, LENGTH)), tunes[which])
    return played.to(device), which.to(device)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.note = nn.Embedding(NOTES, WIDTH)
        self.place = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.1)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 96, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(WIDTH)
        self.tune = nn.Linear(WIDTH, TUNES)

    def forward(self, notes: Tensor) -> Tensor:
        return self.tune(self.norm(self.layers(self.note(notes) + self.place)).mean(1))


def rate(step: int) -> float:
    """Linear rise over WARM_UP steps, then a fall with the root of the step; 1 at the peak."""
    return min((step + 1) / WARM_UP, (WARM_UP / (step + 1)) ** 0.5)


model = Encoder().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.98), eps=1e-9)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
total = 0.0
for step in range(1, STEPS + 1):
    notes, which = batch()
    loss = F.cross_entropy(model(notes), which)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    scheduler.step()
    total += loss.item()
    if step % 20 == 0:
        print(f"step {step}: loss {total / 20:.4f}")
        total = 0.0
