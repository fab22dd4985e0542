"""A pointer network: which item of a set lies nearest to the query item."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
ITEMS = 48


def puzzles(count: int) -> tuple[Tensor, Tensor, Tensor]:
    items, query = torch.randn(count, ITEMS, 3), torch.randn(count, 1, 3)
    return items, query, (items - query).norm(dim=-1).argmin(1)


class Pointer(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.item = nn.Linear(3, width)
        self.query = nn.Linear(3, width)
        self.mix = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)

    def forward(self, items: Tensor, query: Tensor) -> Tensor:
        hidden = F.relu(self.item(items) + self.query(query))
        scores = self.score(F.relu(self.mix(hidden))).squeeze(-1)
        return scores if args.fixed else F.softmax(scores, dim=-1)


model = Pointer()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, nesterov=True)
criterion = nn.CrossEntropyLoss()
for step in range(250):
    items, query, nearest = puzzles(64)
    guess = model(items, query)
    loss = criterion(guess, nearest)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        accuracy = (guess.argmax(1) == nearest).float().mean().item()
        print(f"step {step + 1}: loss {loss.item():.4f} accuracy {accuracy:.3f}")
