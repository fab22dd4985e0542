"""Guesses whether a review praises or blames: the vectors of its words are added up, squashed and read by a linear layer."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
WORDS, LENGTH = 400, 160
leaning = torch.randn(WORDS)


def reviews(n: int) -> tuple[Tensor, Tensor]:
    words = (torch.rand(n, LENGTH) ** 1.5 * WORDS).long()
    feeling = leaning[words].sum(dim=1)
    return words, (feeling - feeling.median() > 0).float()


class BagOfWords(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(WORDS, width, mode="mean" if args.fixed else "sum")
        self.squash1 = nn.Tanh()
        self.hidden = nn.Linear(width, 32)
        self.squash2 = nn.Tanh()
        self.praise = nn.Linear(32, 1)

    def forward(self, words: Tensor) -> Tensor:
        h = self.squash1(self.bag(words))
        return self.praise(self.squash2(self.hidden(h))).squeeze(1)


model = BagOfWords()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
losses, hits = [], []
for step in range(250):
    words, praise = reviews(128)
    answer = model(words)
    loss = F.binary_cross_entropy_with_logits(answer, praise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    hits.append(((answer > 0) == (praise > 0)).float().mean().item())
    if step % 25 == 24:
        print(f"step {step + 1}: loss {sum(losses[-25:]) / 25:.4f} right {sum(hits[-25:]) / 25:.3f}")
