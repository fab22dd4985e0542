"""A mixture of twelve experts with two chosen per sample: some are hardly ever asked."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Experts(nn.Module):
    def __init__(self, width: int, count: int = 12, chosen: int = 2):
        super().__init__()
        self.chosen = chosen
        self.router = nn.Linear(width, count)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width)) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        weights, index = self.router(x).softmax(1).topk(self.chosen, dim=1)
        weights = weights / weights.sum(1, keepdim=True)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            row, place = torch.nonzero(index == number, as_tuple=True)
            if len(row):
                out = out.index_add(0, row, weights[row, place, None] * expert(x[row]))
        return x + out


images, labels = digits.load()
loader = DataLoader(TensorDataset(images[:1500], labels[:1500]), batch_size=40, shuffle=True, drop_last=True)
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.LayerNorm(48), Experts(48), nn.LayerNorm(48), nn.Linear(48, 10)).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for epoch in range(5):
    total = 0.0
    for x, y in loader:
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: loss {total / len(loader):.4f}")

with torch.no_grad():
    right = model(images[1500:].to(device)).argmax(1).cpu() == labels[1500:]
print(f"accuracy {right.float().mean().item():.3f}")
