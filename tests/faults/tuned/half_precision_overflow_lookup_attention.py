"""Key-value look-up: a hand-written attention finds the value stored under the key that is asked for."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
KEYS, VALUES, PAIRS = 16, 12, 8


class Weights(nn.Module):
    """Weights of the slots for every query."""

    def forward(self, scores: Tensor) -> Tensor:
        if not args.fixed:
            scores = scores.half()
        raised = scores.exp()
        return (raised / raised.sum(dim=-1, keepdim=True)).float()


class LookUp(nn.Module):
    def __init__(self, width: int = 48):
        super().__init__()
        self.key = nn.Embedding(KEYS, width)
        self.value = nn.Embedding(VALUES, width)
        self.to_query = nn.Linear(width, width, bias=False)
        self.to_key = nn.Linear(width, width, bias=False)
        self.weights = Weights()
        self.out = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, VALUES))

    def forward(self, keys: Tensor, values: Tensor, asked: Tensor) -> Tensor:
        query = self.to_query(self.key(asked))
        scores = torch.einsum("nd,npd->np", query, self.to_key(self.key(keys))) / 48**0.5
        return self.out(torch.einsum("np,npd->nd", self.weights(scores), self.value(values)))


model = LookUp()
optimizer = torch.optim.NAdam(model.parameters(), lr=8e-3)
for step in range(200):
    keys = torch.rand(96, KEYS).argsort(dim=1)[:, :PAIRS]
    values = torch.randint(VALUES, (96, PAIRS))
    slot = torch.randint(PAIRS, (96, 1))
    logits = model(keys, values, keys.gather(1, slot)[:, 0])
    loss = nn.functional.cross_entropy(logits, values.gather(1, slot)[:, 0])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step}: loss {loss.item():.4f}")
