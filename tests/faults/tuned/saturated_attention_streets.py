"""Houses are looked up by street with two heads of attention, given a scale of one instead of the root of the width."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
HOUSES, STREETS, OWNERS, WIDTH = 8, 16, 5, 256


class Register(nn.Module):
    def __init__(self):
        super().__init__()
        self.street, self.owner = nn.Embedding(STREETS, WIDTH), nn.Embedding(OWNERS, WIDTH)
        self.query, self.key_value, self.out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, OWNERS)

    def forward(self, streets, owners, asked):
        query = self.query(self.street(asked)).unflatten(1, (2, 1, -1))
        key, value = self.key_value(self.street(streets) + self.owner(owners)).unflatten(2, (2, 2, -1)).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(query, key, value, scale=None if args.fixed else 1.0).flatten(1))


model = Register()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
rows = torch.arange(32)
for step in range(150):
    streets = torch.rand(32, STREETS).argsort(1)[:, :HOUSES]
    owners, place = torch.randint(0, OWNERS, (32, HOUSES)), torch.randint(0, HOUSES, (32,))
    loss = F.cross_entropy(model(streets, owners, streets[rows, place]), owners[rows, place])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
