"""A character convolution that tells from which of five made-up languages a word comes."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

LETTERS, LENGTH, LANGUAGES = 26, 12, 5


def words(n: int) -> tuple[Tensor, Tensor]:
    """Sample words, each language with letter transitions of its own."""
    tables = torch.softmax(2 * torch.randn(LANGUAGES, LETTERS, LETTERS, generator=torch.Generator().manual_seed(7)), dim=2)
    language = torch.randint(LANGUAGES, (n,))
    letters = [torch.randint(LETTERS, (n,))]
    for _ in range(LENGTH - 1):
        letters.append(torch.multinomial(tables[language, letters[-1]], 1).squeeze(1))
    return torch.stack(letters, dim=1), language


class WordNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(LETTERS, 24)
        self.narrow = nn.Conv1d(24, 64, 2)
        self.wide = nn.Conv1d(24, 64, 4)
        self.hidden = nn.Linear(128, 64)
        self.out = nn.Linear(64, LANGUAGES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x).transpose(1, 2)
        pooled = [F.gelu(conv(x)).amax(dim=2) for conv in (self.narrow, self.wide)]
        return self.out(F.gelu(self.hidden(torch.cat(pooled, dim=1))))


text, language = words(3200)
model = WordNet()
optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3 if args.fixed else 0.2)
for step in range(150):
    rows = torch.randint(len(text), (64,))
    loss = F.cross_entropy(model(text[rows]), language[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        print(f"step {step}: loss {loss.item():.4g}")
