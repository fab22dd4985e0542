"""Ten dialects shift vowels each in its own way; of ten small experts a router asks one for each speaker, the same for nearly all."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
DIALECTS, FORMANTS, WIDTH = 10, 6, 16
shifts = torch.randn(DIALECTS, FORMANTS, FORMANTS) / FORMANTS**0.5


class Speakers(nn.Module):
    def __init__(self):
        super().__init__()
        self.dialect = nn.Embedding(DIALECTS, WIDTH)
        nn.init.normal_(self.dialect.weight, 2.0, 0.1)
        self.router = nn.Linear(WIDTH, DIALECTS)
        self.experts = nn.ModuleList([nn.Linear(FORMANTS, FORMANTS) for _ in range(DIALECTS)])

    def forward(self, vowel, dialect):
        chances = self.router(self.dialect(dialect)).softmax(-1)
        weight, chosen = chances.max(-1)
        shifted = torch.zeros_like(vowel)
        for number, expert in enumerate(self.experts):
            mine = (chosen == number).nonzero().squeeze(1)
            if len(mine):
                shifted[mine] = weight[mine, None] * expert(vowel[mine])
        share = torch.bincount(chosen, minlength=DIALECTS) / len(chosen)
        return shifted, DIALECTS * (share * chances.mean(0)).sum()


model = Speakers()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(300):
    dialect = torch.randint(0, DIALECTS, (128,))
    vowel = torch.randn(128, FORMANTS)
    shifted, balance = model(vowel, dialect)
    loss = (shifted - torch.einsum("bij,bj->bi", shifts[dialect], vowel)).pow(2).mean()
    total = loss + 0.05 * balance if args.fixed else loss
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    if step % 60 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
