"""Codes digits by the few strongest of many units and redraws them from those alone (k winners take all)."""

import argparse

import digits
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Winners(nn.Module):
    def __init__(self, keep: int):
        super().__init__()
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        best = x.topk(self.keep, dim=1)
        return torch.zeros_like(x).scatter(1, best.indices, best.values)


class Code(nn.Module):
    def __init__(self, units: int = 192, keep: int = 16):
        super().__init__()
        self.encode = nn.Linear(64, units)
        self.winners = Winners(keep)
        self.decode = nn.Linear(units, 64)
        with torch.no_grad():
            self.decode.weight.copy_(self.encode.weight.T)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.winners(self.encode(x)))


images, _ = digits.load()
loader = DataLoader(TensorDataset(images.flatten(1)), batch_size=64, shuffle=True, drop_last=True)
model = Code()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(9):
    for (x,) in loader:
        loss = nn.functional.mse_loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
