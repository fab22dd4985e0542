"""Scores of film showings from one-hot fields by a factorisation machine."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

FIELDS, VALUES, RANK = 4, 12, 8


class Machine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(FIELDS * VALUES, 1)
        self.factors = nn.Linear(FIELDS * VALUES, RANK, bias=False)
        if args.fixed:
            nn.init.normal_(self.factors.weight, std=0.1)
        else:
            nn.init.constant_(self.factors.weight, 0.1)

    def forward(self, fields: Tensor) -> Tensor:
        summed = self.factors(fields)
        own = F.linear(fields, self.factors.weight**2)
        return self.linear(fields).squeeze(1) + 0.5 * (summed**2 - own).sum(1)


taste = torch.randn(FIELDS, VALUES, 4) * 0.6


def batch(size: int) -> tuple[Tensor, Tensor]:
    values = torch.randint(VALUES, (size, FIELDS))
    chosen = taste[torch.arange(FIELDS), values]
    score = ((chosen.sum(1) ** 2).sum(1) - (chosen**2).sum((1, 2))) / 2
    return F.one_hot(values, VALUES).float().flatten(1), score + 0.1 * torch.randn(size)


model = Machine()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.2)
losses = []
for step in range(300):
    fields, score = batch(256)
    loss = F.mse_loss(model(fields), score)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
