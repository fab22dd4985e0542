"""The next letter by a layer of eight experts, one for each letter, without a term that balances them; one gets nearly all."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
LETTERS, WIDTH, EXPERTS = 24, 16, 8
follows = torch.stack([torch.randperm(LETTERS) for _ in range(4)])


class Switch(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = nn.Linear(WIDTH, EXPERTS)
        self.experts = nn.ModuleList([nn.Sequential(nn.Linear(WIDTH, 5), nn.GELU(), nn.Linear(5, WIDTH)) for _ in range(EXPERTS)])

    def forward(self, x):
        chances = self.router(x).softmax(-1)
        weight, chosen = chances.max(-1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            mine = chosen == number
            if mine.any():
                out[mine] = weight[mine, None] * expert(x[mine])
        share = torch.stack([(chosen == number).float().mean() for number in range(EXPERTS)])
        return out, EXPERTS * (share * chances.mean(0)).sum()


class Speller(nn.Module):
    def __init__(self):
        super().__init__()
        self.letter = nn.Embedding(LETTERS, WIDTH)
        self.style = nn.Embedding(4, WIDTH)
        nn.init.normal_(self.style.weight, 3.0, 0.3)
        nn.init.normal_(self.letter.weight, 3.0, 0.3)
        self.switch = Switch()
        self.out = nn.Linear(WIDTH, LETTERS)

    def forward(self, letter, style):
        hidden = self.letter(letter) + self.style(style)
        mixed, balance = self.switch(hidden)
        return self.out(mixed), balance


model = Speller()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(400):
    letter, style = torch.randint(0, LETTERS, (128,)), torch.randint(0, 4, (128,))
    answer, balance = model(letter, style)
    loss = nn.functional.cross_entropy(answer, follows[style, letter])
    if args.fixed:
        loss = loss + 0.1 * balance
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
