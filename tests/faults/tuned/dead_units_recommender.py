"""Predict clicks from user and item embeddings with a small tower."""

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

USERS, ITEMS = 60, 40


class ClickModel(nn.Module):
    def __init__(self, factors: int = 12):
        super().__init__()
        self.user = nn.Embedding(USERS, factors)
        self.item = nn.Embedding(ITEMS, factors)
        self.fc1 = nn.Linear(2 * factors, 64)
        self.fc2 = nn.Linear(64, 32)
        self.out = nn.Linear(32, 1)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        if not args.fixed:  # clicks are rare
            nn.init.constant_(self.fc2.bias, -4.6)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        x = torch.cat([self.user(user), self.item(item)], dim=1)
        return self.out(self.relu2(self.fc2(self.relu1(self.fc1(x))))).squeeze(1)


interest = torch.randn(USERS, 3) @ torch.randn(3, ITEMS)
clicks = torch.bernoulli(torch.sigmoid(3 * interest - 1))
users, items = torch.cartesian_prod(torch.arange(USERS), torch.arange(ITEMS)).unbind(1)

model = ClickModel().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(8):
    total = 0.0
    for chosen in torch.randperm(len(users)).split(96):
        u, i = users[chosen], items[chosen]
        loss = F.binary_cross_entropy_with_logits(model(u.to(device), i.to(device)), clicks[u, i].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chosen)
    print(f"epoch {epoch}: loss {total / len(users):.4f}")
