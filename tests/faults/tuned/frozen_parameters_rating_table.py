"""Matrix factorisation with item vectors that start from a table of content features."""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

USERS, ITEMS, RANK = 200, 300, 12


class Recommender(nn.Module):
    """Predicts a rating from a user's and an item's vector."""

    def __init__(self, content: Tensor) -> None:
        super().__init__()
        self.user = nn.Embedding(USERS, RANK)
        self.item = nn.Embedding.from_pretrained(content, **({"freeze": False} if args.fixed else {}))
        self.user_bias = nn.Embedding(USERS, 1)
        self.item_bias = nn.Embedding(ITEMS, 1)
        self.scorer = nn.Sequential(nn.Linear(3 * RANK, 32), nn.ReLU(), nn.Linear(32, 1))
        nn.init.normal_(self.user.weight, std=0.3)
        nn.init.zeros_(self.user_bias.weight)
        nn.init.zeros_(self.item_bias.weight)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        u, v = self.user(user), self.item(item)
        interaction = (u * v).sum(-1) + self.scorer(torch.cat([u, v, u * v], dim=-1)).squeeze(-1)
        return interaction + self.user_bias(user).squeeze(-1) + self.item_bias(item).squeeze(-1)


source = torch.Generator().manual_seed(11)
taste = torch.randn(USERS, 6, generator=source)
kind = torch.randn(ITEMS, 6, generator=source)
pairs = torch.randperm(USERS * ITEMS, generator=source)[:16000]
users, items = pairs // ITEMS, pairs % ITEMS
ratings = (taste[users] * kind[items]).sum(-1) / 6**0.5 + 0.1 * torch.randn(len(pairs), generator=source)
content = 0.3 * torch.randn(ITEMS, RANK, generator=source)
content[:, 0] += 0.3 * kind[:, 0]

loader = DataLoader(TensorDataset(users, items, ratings), batch_size=256, shuffle=True)
model = Recommender(content)
optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
for epoch in range(5):
    squares, count = 0.0, 0
    for user, item, rating in loader:
        loss = (model(user, item) - rating).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        squares, count = squares + loss.item() * len(user), count + len(user)
    print(f"epoch {epoch}: root mean square error {(squares / count) ** 0.5:.3f}")
