"""The next item of a shopping session from a GRU over the items so far."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

ITEMS, LENGTH = 150, 12


class NextItem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(ITEMS, 32)
        self.session = nn.GRU(32, 48, batch_first=True)
        self.scores = nn.Linear(48, ITEMS)

    def forward(self, items: Tensor) -> Tensor:
        hidden, _ = self.session(self.items(items))
        scores = self.scores(hidden)
        return scores if args.fixed else scores.softmax(-1)


follow = torch.stack([torch.randperm(ITEMS)[:2] for _ in range(ITEMS)])


def sessions(size: int) -> Tensor:
    items = [torch.randint(ITEMS, (size,))]
    for _ in range(LENGTH):
        branch = (torch.rand(size) < 0.15).long()
        items.append(follow[items[-1], branch])
    return torch.stack(items, 1)


model = NextItem()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
losses = []
for step in range(200):
    items = sessions(64)
    scores = model(items[:, :-1])
    loss = F.cross_entropy(scores.flatten(0, 1), items[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 40 == 0:
        hits = (scores.argmax(-1) == items[:, 1:]).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f} hits {hits:.3f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
