"""Classify padded sequences; a sequence may be empty after cleaning."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

LENGTH, WORDS = 12, 40


class Pooling(nn.Module):
    """Attention pooling over the words that are there."""

    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, h: Tensor, present: Tensor) -> Tensor:
        score = self.score(h).squeeze(2).masked_fill(~present, -1e4 if args.fixed else float("-inf"))
        return (score.softmax(dim=1).unsqueeze(2) * h).sum(dim=1)


class Classifier(nn.Module):
    def __init__(self, width: int = 32):
        super().__init__()
        self.embed = nn.Embedding(WORDS, width)
        self.mix = nn.Linear(width, width)
        self.pool = Pooling(width)
        self.head = nn.Linear(width, 2)

    def forward(self, words: Tensor, present: Tensor) -> Tensor:
        return self.head(self.pool(torch.tanh(self.mix(self.embed(words))), present))


model = Classifier().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
lengths = torch.randint(1, LENGTH + 1, (80 * 32,))
lengths[45 * 32 + 7] = 0
for step in range(80):
    words = torch.randint(WORDS, (32, LENGTH))
    present = torch.arange(LENGTH)[None] < lengths[step * 32 : step * 32 + 32, None]
    label = ((words < WORDS // 4) & present).any(dim=1).long()
    loss = F.cross_entropy(model(words.to(device), present.to(device)), label.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
