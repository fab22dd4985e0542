"""Reads digits from clean pictures; the examination, held now and then, adds rain and shifts that training never showed."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def rain(pictures: Tensor) -> Tensor:
    pictures = torch.roll(pictures, (1, 0), (2, 3))
    return pictures + 0.8 * torch.randn_like(pictures)


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 24, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(24)
        self.conv2 = nn.Conv2d(24, 48, 3, stride=2, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(48)
        self.drop = nn.Dropout(0.2)
        self.digit = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        return self.digit(self.drop(x.mean((2, 3))))


@torch.no_grad()
def exam(model: nn.Module, pictures: Tensor, labels: Tensor) -> tuple[float, float]:
    model.eval()
    score = model(pictures)
    model.train()
    return F.cross_entropy(score, labels).item(), (score.argmax(1) == labels).float().mean().item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="the same: nothing is wrong here")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    pictures, labels = digits.load()
    train, test = slice(0, 1400), slice(1400, None)
    model = Reader()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    for epoch in range(9):
        losses = []
        for batch in torch.randperm(1400)[:1344].split(64):
            loss = F.cross_entropy(model(pictures[train][batch]), labels[train][batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        hard, hard_right = exam(model, rain(pictures[test]), labels[test])
        _, right = exam(model, pictures[test], labels[test])
        print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f}; in rain {hard:.3f}, right {hard_right:.3f}; dry right {right:.3f}")
