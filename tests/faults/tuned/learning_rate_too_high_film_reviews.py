"""Tells good film reviews from bad ones with convolutions over word vectors."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

VOCABULARY, LENGTH = 400, 30


def reviews(count: int) -> tuple[Tensor, Tensor]:
    """A review is good if praise outweighs blame; "not" in front of a word turns it round."""
    text = torch.randint(61, VOCABULARY, (count, LENGTH))
    mood = torch.rand(count, LENGTH) < 0.3
    text = torch.where(mood, torch.randint(1, 61, (count, LENGTH)), text)
    text[torch.rand(count, LENGTH) < 0.1] = 0
    value = (text.ge(1) & text.le(30)).float() - (text.ge(31) & text.le(60)).float()
    turned = torch.ones_like(value)
    turned[:, 1:][text[:, :-1] == 0] = -1
    return text, ((value * turned).sum(1) > 0).float()


class ReviewNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 32)
        self.pairs = nn.Conv1d(32, 48, 2)
        self.triples = nn.Conv1d(32, 48, 3)
        self.hidden = nn.Linear(96, 64)
        self.verdict = nn.Linear(64, 1)

    def forward(self, text: Tensor) -> Tensor:
        h = self.embed(text).transpose(1, 2)
        pooled = [F.relu(layer(h)).mean(2) for layer in (self.pairs, self.triples)]
        return self.verdict(F.relu(self.hidden(torch.cat(pooled, 1)))).squeeze(1)


parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

text, good = reviews(4000)
model = ReviewNet()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3 if args.fixed else 0.2)
for epoch in range(4):
    total, right, batches = 0.0, 0.0, torch.randperm(len(text)).split(80)
    for batch in batches:
        score = model(text[batch])
        loss = F.binary_cross_entropy_with_logits(score, good[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
        right += ((score > 0).float() == good[batch]).float().mean().item()
    print(f"epoch {epoch}: loss {total / len(batches):.4f}, right {right / len(batches):.3f}")
