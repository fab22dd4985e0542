"""Which members of a club know one another: two graph convolutions and the product of the members' codes."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

MEMBERS, CIRCLES = 120, 6


class Links(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.first = nn.Linear(MEMBERS, width)
        self.second = nn.Linear(width, width)
        self.score = nn.Linear(1, 1)
        self.probability = nn.Identity() if args.fixed else nn.Sigmoid()

    def forward(self, known: Tensor, pairs: Tensor) -> Tensor:
        code = F.elu(self.first(known))
        code = self.second(known @ code)
        product = (code[pairs[0]] * code[pairs[1]]).sum(1, keepdim=True)
        return self.probability(self.score(product)).squeeze(1)


circle = torch.randint(0, CIRCLES, (MEMBERS,))
chance = torch.where(circle[:, None] == circle, 0.6, 0.03)
friends = (torch.rand(MEMBERS, MEMBERS) < chance).triu(1)
seen = friends & (torch.rand(MEMBERS, MEMBERS) < 0.7)
known = (seen | seen.T).float() + torch.eye(MEMBERS)
known = known / known.sum(1, keepdim=True)

model = Links()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
criterion = nn.BCEWithLogitsLoss()
there, absent = friends.nonzero().T, (~friends).triu(1).nonzero().T
for step in range(160):
    some, others = there[:, torch.randint(0, there.shape[1], (128,))], absent[:, torch.randint(0, absent.shape[1], (128,))]
    pairs, label = torch.cat([some, others], 1), torch.cat([torch.ones(128), torch.zeros(128)])
    loss = criterion(model(known, pairs), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f}")
