"""A tagger trained on one language, then adapted to a second one by low-rank additions that start at zero."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

TOKENS, TAGS, LENGTH, WIDTH, RANK = 40, 6, 10, 48, 4


class Adapted(nn.Module):
    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Linear(base.in_features, RANK, bias=False)
        self.up = nn.Linear(RANK, base.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + 4 * self.up(self.down(x))


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(TOKENS, WIDTH)
        self.inner = nn.Linear(3 * WIDTH, 2 * WIDTH)
        self.outer = nn.Linear(2 * WIDTH, WIDTH)
        self.tag = nn.Linear(WIDTH, TAGS)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        x = torch.cat([x.roll(1, 1), x, x.roll(-1, 1)], 2)
        return self.tag(F.gelu(self.outer(F.gelu(self.inner(x)))))


kind = torch.randint(3, (TOKENS,))
tables = torch.randint(TAGS, (3, 3))
second = tables.clone()
second[0] = (second[0] + 1) % TAGS


def sentences(table: Tensor, size: int = 48) -> tuple[Tensor, Tensor]:
    tokens = torch.randint(TOKENS, (size, LENGTH))
    return tokens, table[kind[tokens.roll(1, 1)], kind[tokens]]


def train(model: nn.Module, table: Tensor, rate: float, steps: int) -> float:
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
    losses = []
    for step in range(steps):
        tokens, tags = sentences(table)
        loss = F.cross_entropy(model(tokens).flatten(0, 1), tags.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 40 == 0:
            print(f"step {step}: loss {loss.item():.4f}")
    return sum(losses[-20:]) / 20


model = Tagger()
print(f"first language: loss {train(model, tables, 3e-3, 100):.4f}")
model.requires_grad_(False)
model.inner, model.outer = Adapted(model.inner), Adapted(model.outer)
final = train(model, second, 4e-3, 180)
print(f"final loss {final:.4f}")
