"""Makes up names: a network that guesses the next letter from the three before it, with an update written by hand."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
STARTS, VOWELS, ENDS = "bdklmnrst", "aeiou", "nlrs"
LETTERS = sorted(set(".".join((STARTS, VOWELS, ENDS))))


def name() -> str:
    text = ""
    for _ in range(int(torch.randint(1, 4, ()))):
        start = int(torch.randint(len(STARTS), ()))
        text += STARTS[start] + VOWELS[(start + int(torch.randint(2, ()))) % 5]
    return text + ENDS[int(torch.randint(4, ()))]


def windows(names: list[str]) -> tuple[Tensor, Tensor]:
    rows = []
    for text in names:
        padded = "..." + text + "."
        rows += [[LETTERS.index(letter) for letter in padded[i : i + 4]] for i in range(len(padded) - 3)]
    table = torch.tensor(rows)
    return table[:, :3], table[:, 3]


class NextLetter(nn.Module):
    def __init__(self, width: int = 10, hidden: int = 64) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS), width)
        self.hidden = nn.Linear(3 * width, hidden)
        self.out = nn.Linear(hidden, len(LETTERS))

    def forward(self, before: Tensor) -> Tensor:
        return self.out(torch.tanh(self.hidden(self.letters(before).flatten(1))))


before, following = windows([name() for _ in range(800)])
model = NextLetter()
losses = []
for step in range(300):
    pick = torch.randint(0, len(before), (64,))
    loss = F.cross_entropy(model(before[pick]), following[pick])
    loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.3 * parameter.grad
            if args.fixed:
                parameter.grad = None
    losses.append(loss.item())
    if step % 25 == 24:
        print(f"step {step + 1}: loss {sum(losses[-25:]) / 25:.4f}")
