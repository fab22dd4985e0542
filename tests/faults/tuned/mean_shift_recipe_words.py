"""A bag-of-words network guesses the cuisine of a recipe from its ingredients."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


WORDS, CUISINES, LENGTH = 300, 8, 20
taste = torch.softmax(2.0 * torch.randn(CUISINES, WORDS), dim=1)


def recipes(n: int) -> tuple[Tensor, Tensor]:
    cuisine = torch.randint(CUISINES, (n,))
    return torch.multinomial(taste[cuisine], LENGTH, replacement=True), cuisine


class Cook(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.words = nn.Embedding(WORDS, width)
        if args.fixed:
            nn.init.uniform_(self.words.weight, -1.0, 1.0)
        else:
            nn.init.uniform_(self.words.weight, 3.0, 5.0)
        self.mix1 = nn.Linear(width, width)
        self.mix2 = nn.Linear(width, width)
        self.mix3 = nn.Linear(width, width)
        self.cuisine = nn.Linear(width, CUISINES)

    def forward(self, words: Tensor) -> Tensor:
        x = self.words(words).sum(1) / LENGTH**0.5
        x = F.gelu(self.mix1(x))
        x = F.gelu(self.mix2(x))
        x = F.gelu(self.mix3(x))
        return self.cuisine(x)


model = Cook()
optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-4)
total = 0.0
for step in range(200):
    words, cuisine = recipes(64)
    loss = F.cross_entropy(model(words), cuisine)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 25 == 24:
        print(f"step {step}: mean loss {total / 25:.4f}")
        total = 0.0
