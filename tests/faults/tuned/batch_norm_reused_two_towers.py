"""Matches descriptions with pictures of digits: two towers that end in one space."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

WORDS = 30


class Towers(nn.Module):
    def __init__(self, width: int = 64, space: int = 16) -> None:
        super().__init__()
        self.picture = nn.Sequential(nn.Flatten(), nn.Linear(64, width))
        self.words = nn.EmbeddingBag(WORDS, width, mode="sum")
        nn.init.normal_(self.words.weight, mean=0.5, std=1.5)
        self.norm = nn.BatchNorm1d(width)
        self.norm_words = nn.BatchNorm1d(width) if args.fixed else self.norm
        self.to_space = nn.Linear(width, space)

    def forward(self, picture: Tensor, words: Tensor) -> Tensor:
        """Similarity of every picture with every description."""
        a = self.to_space(F.relu(self.norm(self.picture(picture))))
        b = self.to_space(F.relu(self.norm_words(self.words(words))))
        return F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T / 0.1


images, labels = digits.load()
vocabulary = torch.stack([torch.randperm(WORDS)[:8] for _ in range(10)])


def describe(label: Tensor) -> Tensor:
    """Six of the words that go with a digit."""
    pick = torch.rand(len(label), 8).argsort(1)[:, :6]
    return vocabulary[label].gather(1, pick)


def matching_loss(similarity: Tensor, label: Tensor) -> Tensor:
    same = (label[:, None] == label[None, :]).float()
    target = same / same.sum(1, keepdim=True)
    return (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2


model = Towers()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
train, held = torch.arange(1400), torch.arange(1400, 1797)
for epoch in range(6):
    model.train()
    for index in train[torch.randperm(len(train))].split(56):
        loss = matching_loss(model(images[index], describe(labels[index])), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        similarity = model(images[held], describe(torch.arange(10)))
    right = (similarity.argmax(1) == labels[held]).float().mean()
    print(f"epoch {epoch}: training loss {loss.item():.3f}, held out right {right:.3f}")
