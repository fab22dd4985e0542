"""A mixture of eight experts of which a task with two regimes needs only a few."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
left, right = torch.randn(8, 1), torch.randn(8, 1)


class Mixture(nn.Module):
    def __init__(self, experts: int = 8) -> None:
        super().__init__()
        self.gate = nn.Linear(8, experts)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 1)) for _ in range(experts))

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = self.gate(x).softmax(dim=1).topk(2, dim=1)
        weights = weights / weights.sum(dim=1, keepdim=True)
        out = x.new_zeros(len(x), 1)
        for i, expert in enumerate(self.experts):
            share = (weights * (chosen == i)).sum(dim=1)
            rows = share.nonzero().squeeze(1)
            if len(rows) > 0:
                out = out.index_add(0, rows, share[rows, None] * expert(x[rows]))
        return out


model = Mixture()
with torch.no_grad():
    model.gate.bias.copy_(torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, -2.0, -6.0, -6.0]))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(200):
    x = torch.randn(128, 8)
    y = torch.where(x[:, :1] > 0, torch.sin(x @ left / 3), 0.5 * (x @ right)) + 0.05 * torch.randn(128, 1)
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step + 1}: loss {loss.item():.4f}")
