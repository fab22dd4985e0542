"""Sentiment of reviews with a Zipf vocabulary: sparse embedding with its own quick rate, most rows seldom seen."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

WORDS, LENGTH, WIDTH = 2000, 20, 16


class Sentiment(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(WORDS, WIDTH, mode="mean", sparse=True)
        self.hidden = nn.Linear(WIDTH, 32)
        self.out = nn.Linear(32, 1)
        nn.init.normal_(self.words.weight, std=0.01)

    def forward(self, review: Tensor) -> Tensor:
        return self.out(torch.tanh(self.hidden(self.words(review)))).squeeze(1)


frequency = 1 / torch.arange(1.0, WORDS + 1)
feeling = torch.randn(WORDS)


def reviews(size: int) -> tuple[Tensor, Tensor]:
    words = torch.multinomial(frequency.expand(size, -1), LENGTH, replacement=True)
    return words, (feeling[words].mean(1) > 0).float()


model = Sentiment()
sparse = torch.optim.SparseAdam(model.words.parameters(), lr=0.03)
dense = torch.optim.Adam([*model.hidden.parameters(), *model.out.parameters()], lr=2e-3)
losses, hits = [], []
for step in range(250):
    review, good = reviews(64)
    logits = model(review)
    loss = F.binary_cross_entropy_with_logits(logits, good)
    sparse.zero_grad()
    dense.zero_grad()
    loss.backward()
    sparse.step()
    dense.step()
    losses.append(loss.item())
    hits.append(((logits > 0) == (good > 0)).float().mean().item())
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f} accuracy {hits[-1]:.3f}")
final = sum(losses[-20:]) / 20
print(f"accuracy {sum(hits[-20:]) / 20:.3f} final loss {final:.4f}")
