"""Word vectors from a stream of words: real neighbours against words drawn at random."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
TOPICS, PER_TOPIC, NEGATIVES = 12, 15, 4
WORDS = TOPICS * PER_TOPIC


def neighbours(n: int) -> tuple[Tensor, Tensor, Tensor]:
    topic = torch.randint(0, TOPICS, (n,))
    word = topic * PER_TOPIC + torch.randint(0, PER_TOPIC, (n,))
    beside = topic * PER_TOPIC + torch.randint(0, PER_TOPIC, (n,))
    drawn = torch.randint(0, WORDS, (n, NEGATIVES))
    others = torch.cat([beside.unsqueeze(1), drawn], dim=1)
    real = torch.zeros(n, 1 + NEGATIVES)
    real[:, 0] = 1.0
    return word, others, real


class SkipGram(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.word = nn.Embedding(WORDS, width)
        self.context = nn.Embedding(WORDS, width)
        self.offset = nn.Parameter(torch.zeros(()))
        self.chance = nn.Identity() if args.fixed else nn.Sigmoid()
        for table in (self.word, self.context):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, word: Tensor, others: Tensor) -> Tensor:
        score = torch.einsum("nw,nkw->nk", self.word(word), self.context(others)) + self.offset
        return self.chance(score)


model = SkipGram()
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.2)
losses = []
for step in range(200):
    word, others, real = neighbours(256)
    loss = criterion(model(word, others), real)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 20 == 19:
        print(f"step {step + 1}: loss {sum(losses[-20:]) / 20:.4f}")
