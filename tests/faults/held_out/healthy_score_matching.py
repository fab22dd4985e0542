"""Score matching: a network learns the slope of the log density of three clusters from samples alone."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

centres = torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.5, -2.0]])
spread = 0.35


def samples(count: int) -> torch.Tensor:
    return centres[torch.randint(0, 3, (count,))] + spread * torch.randn(count, 2)


def true_score(x: torch.Tensor) -> torch.Tensor:
    away = centres[None] - x[:, None]
    share = torch.softmax(-away.square().sum(-1) / (2 * spread**2), dim=1)
    return (share[..., None] * away).sum(1) / spread**2


model = nn.Sequential(nn.Linear(2, 96), nn.SiLU(), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(300):
    x = samples(256).requires_grad_(True)
    score = model(x)
    spreading = sum(torch.autograd.grad(score[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(2))
    loss = (0.5 * score.square().sum(1) + spreading).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.3f}")
with torch.no_grad():
    x = samples(2000)
    left = (model(x) - true_score(x)).square().mean() / true_score(x).square().mean()
print(f"last loss {loss.item():.3f}, share of the true score's power not explained: {left.item():.3f}")
