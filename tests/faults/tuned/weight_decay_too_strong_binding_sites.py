"""Where a protein binds along a strand: one-dimensional convolutions over letters, a mark at every place."""

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

LETTERS, LENGTH, BATCH, STEPS = 4, 60, 24, 180
motif = torch.randint(LETTERS, (5,))


def strands() -> tuple[Tensor, Tensor]:
    strand = torch.randint(LETTERS, (BATCH, LENGTH))
    for row in range(BATCH):
        for at in torch.randperm(LENGTH // 6)[:3] * 6:
            strand[row, at : at + 5] = motif
    found = torch.stack([(strand.unfold(1, 5, 1) == motif).all(2)[:, i] for i in range(LENGTH - 4)], 1)
    return F.one_hot(strand, LETTERS).float().transpose(1, 2).to(device), found.float().to(device)


model = nn.Sequential(
    nn.Conv1d(LETTERS, 24, 5),
    nn.SiLU(),
    nn.Conv1d(24, 24, 1),
    nn.SiLU(),
    nn.Conv1d(24, 1, 1),
).to(device)
decay = 1e-3 if args.fixed else 12.0
optimizer = torch.optim.NAdam(model.parameters(), lr=5e-3, weight_decay=decay, decoupled_weight_decay=True)
total = 0.0
for step in range(1, STEPS + 1):
    strand, found = strands()
    loss = F.binary_cross_entropy_with_logits(model(strand).squeeze(1), found)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 30 == 0:
        print(f"step {step}: loss {total / 30:.4f}")
        total = 0.0
