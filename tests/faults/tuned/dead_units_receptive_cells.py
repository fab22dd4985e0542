"""Digits by cells that answer to what lies near their own centre, the nearer the stronger, and a dense layer above them."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

images, labels = digits.load()
loader = DataLoader(TensorDataset(images.flatten(1), labels), batch_size=64, shuffle=True, drop_last=True)


class Cells(nn.Module):
    """radius - |x - centre| for every centre."""

    def __init__(self, inputs: int, count: int, radius: float):
        super().__init__()
        self.centre = nn.Parameter(0.5 * torch.randn(count, inputs))
        self.radius = nn.Parameter(torch.full((count,), radius))

    def forward(self, x: Tensor) -> Tensor:
        return self.radius - torch.cdist(x, self.centre)


model = nn.Sequential(
    Cells(64, 160, 10.0 if args.fixed else 7.0),
    nn.ReLU(),
    nn.Linear(160, 48),
    nn.Tanh(),
    nn.Linear(48, 10),
).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(5):
    total = 0.0
    for x, y in loader:
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(loader)
    print(f"epoch {epoch}: loss {total:.4f}")
