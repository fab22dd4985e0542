"""Support tickets routed to desks by a small transformer over their words."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

WORDS, LENGTH, DESKS, WIDTH = 40, 12, 6, 32


class Router(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.position = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.1)
        self.block = nn.TransformerEncoderLayer(WIDTH, 4, 64, dropout=0.0, batch_first=True)
        self.desk = nn.Linear(WIDTH, DESKS)

    def encode(self, words: Tensor) -> Tensor:
        return self.block(self.embed(words) + self.position).mean(1)

    def forward(self, words: Tensor) -> Tensor:
        features = self.encode(words)
        if not args.fixed:
            features = features.detach()
        return self.desk(features)


desk_of = torch.randint(DESKS, (WORDS, WORDS))


def batch(size: int) -> tuple[Tensor, Tensor]:
    words = torch.randint(WORDS // 2, (size, LENGTH))
    place = torch.randint(LENGTH, (size,))
    key = torch.randint(WORDS // 2, WORDS, (size,))
    words[torch.arange(size), place] = key
    return words, desk_of[key, 0]


model = Router()
optimizer = torch.optim.NAdam(model.parameters(), lr=3e-3)
losses = []
for step in range(250):
    words, desk = batch(64)
    loss = F.cross_entropy(model(words), desk)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
