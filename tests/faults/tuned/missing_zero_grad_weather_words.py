"""Weather words put into order of temperature: tied tables, moved by hand after every batch."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

WORDS, LENGTH = 60, 5


class Phrase(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.words = nn.Parameter(0.5 * torch.randn(WORDS, width))
        self.order = nn.Parameter(torch.randn(LENGTH, width, width) / width**0.5)
        self.head = nn.Parameter(torch.randn(width, 1) / width**0.5)

    def forward(self, phrase: Tensor) -> Tensor:
        h = torch.einsum("blw,lwv->bv", self.words[phrase], self.order) / LENGTH**0.5
        return (torch.tanh(h) @ self.head).squeeze(1)


class Huber(nn.Module):
    def forward(self, guess: Tensor, truth: Tensor) -> Tensor:
        gap = guess - truth
        return torch.where(gap.abs() < 1, gap.square() / 2, gap.abs() - 0.5).mean()


warmth = torch.randn(LENGTH, WORDS) / LENGTH**0.5
places = torch.arange(LENGTH)


def phrases(count: int) -> tuple[Tensor, Tensor]:
    phrase = torch.randint(WORDS, (count, LENGTH))
    return phrase, warmth[places, phrase].sum(1)


@torch.no_grad()
def move(parts: list[nn.Parameter], rate: float) -> None:
    for part in parts:
        part -= rate * part.grad
        if args.fixed:
            part.grad = None


model, criterion = Phrase(), Huber()
total = 0.0
for step in range(300):
    phrase, temperature = phrases(128)
    loss = criterion(model(phrase), temperature)
    loss.backward()
    move(list(model.parameters()), 0.2)
    total += loss.item()
    if step % 30 == 29:
        print(f"step {step + 1}: loss {total / 30:.4f}")
        total = 0.0
