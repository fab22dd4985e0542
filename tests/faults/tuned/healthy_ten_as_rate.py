"""Sorts news by subject from word frequencies of unit length, with plain gradient steps."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SUBJECTS, WORDS = 8, 600


def news(count: int, favour: Tensor) -> tuple[Tensor, Tensor]:
    subject = torch.randint(0, SUBJECTS, (count,))
    words = torch.multinomial(favour[subject], 60, replacement=True)
    table = torch.zeros(count, WORDS).scatter_add_(1, words, torch.ones(count, 60))
    return F.normalize(torch.log1p(table), dim=1), subject


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="the same: nothing is wrong here")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    usual = torch.rand(1, WORDS) ** 3
    favour = usual * (1 + 4 * (torch.rand(SUBJECTS, WORDS) < 0.1).float())
    table, subject = news(3200, favour)
    model = nn.Linear(WORDS, SUBJECTS)
    optimizer = torch.optim.SGD(model.parameters(), lr=10.0)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=250)
    for epoch in range(5):
        total, right = 0.0, 0
        for batch in torch.randperm(len(table)).split(64):
            score = model(table[batch])
            loss = F.cross_entropy(score, subject[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item()
            right += int((score.argmax(1) == subject[batch]).sum())
        print(f"epoch {epoch}: loss {total / 50:.4f}, right {right / len(table):.3f}")
