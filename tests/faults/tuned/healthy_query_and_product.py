"""Two towers with batch normalisation bring a shop's queries and products together, each batch its own negatives."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pairs(count: int, to_query: Tensor, to_product: Tensor) -> tuple[Tensor, Tensor]:
    want = torch.randn(count, 8)
    query = torch.tanh(want @ to_query) + 0.1 * torch.randn(count, 24)
    product = torch.tanh(want @ to_product) + 0.1 * torch.randn(count, 40)
    return 2 * query, 2 * product


def tower(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 32)
    )


class TwoTowers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query = tower(24)
        self.product = tower(40)
        self.log_scale = nn.Parameter(torch.tensor(2.7))

    def forward(self, query: Tensor, product: Tensor) -> Tensor:
        q = F.normalize(self.query(query), dim=1)
        p = F.normalize(self.product(product), dim=1)
        return self.log_scale.exp() * q @ p.T


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="the same: nothing is wrong here")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    to_query, to_product = 0.5 * torch.randn(8, 24), 0.5 * torch.randn(8, 40)
    model = TwoTowers()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    own = torch.arange(64)
    losses = []
    for step in range(150):
        score = model(*pairs(64, to_query, to_product))
        loss = (F.cross_entropy(score, own) + F.cross_entropy(score.T, own)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 25 == 24:
            model.eval()
            with torch.no_grad():
                score = model(*pairs(256, to_query, to_product))
            model.train()
            found = (score.argmax(1) == torch.arange(256)).float().mean().item()
            print(f"step {step}: loss {sum(losses[-25:]) / 25:.4f}, found among 256: {found:.3f}")
