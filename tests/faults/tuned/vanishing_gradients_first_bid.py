"""A gated recurrent cell recalls the opening bid of an auction at its end."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


BIDS, ROUNDS = 6, 24


class Keeper(nn.Module):
    """A minimal gated cell: what is kept, and what is taken up."""

    def __init__(self, width: int = 48):
        super().__init__()
        self.width = width
        self.bid = nn.Embedding(BIDS, 24)
        self.keep = nn.Linear(24 + width, width)
        self.take = nn.Linear(24 + width, width)
        self.answer = nn.Linear(width, BIDS)
        nn.init.constant_(self.keep.bias, 2.5 if args.fixed else -1.0)

    def forward(self, bids: Tensor) -> Tensor:
        h = torch.zeros(len(bids), self.width)
        for t in range(bids.shape[1]):
            x = torch.cat([self.bid(bids[:, t]), h], dim=1)
            gate = torch.sigmoid(self.keep(x))
            h = gate * h + (1 - gate) * torch.tanh(self.take(x))
        return self.answer(h)


model = Keeper()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for step in range(200):
    bids = torch.randint(BIDS, (64, ROUNDS))
    scores = model(bids)
    loss = F.cross_entropy(scores, bids[:, 0])
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 20 == 19:
        right = (scores.argmax(1) == bids[:, 0]).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f}, right {right:.2f}")
