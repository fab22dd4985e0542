"""A recurrent reader of melodies that tells the fourth note from the end."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

NOTES, LENGTH = 8, 24


class Reader(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.notes = nn.Embedding(NOTES, 16)
        self.cell = nn.RNNCell(16, width)
        self.norm = nn.LayerNorm(width)
        self.count = nn.Linear(width, NOTES)
        nn.init.orthogonal_(self.cell.weight_hh, gain=1.0 if args.fixed else 3.0)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), self.cell.hidden_size, dtype=torch.float32)
        for note in self.notes(x).unbind(dim=1):
            state = self.cell(note, state)
        return self.count(self.norm(state))


melodies = torch.randint(NOTES, (4000, LENGTH))
last = melodies[:, -4]
model = Reader()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.02)
for step in range(250):
    rows = torch.randint(len(melodies), (64,))
    loss = F.cross_entropy(model(melodies[rows]), last[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step}: loss {loss.item():.4g}")
