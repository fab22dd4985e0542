"""Angles of boom and stick of an excavator from where its bucket is, in millimetres from the corner of the site."""

import argparse

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

COUNT = 4000
boom, stick = 0.2 + torch.rand(COUNT), -1.8 + 1.4 * torch.rand(COUNT)
reach = 4600 * boom.cos() + 2700 * (boom + stick).cos()
height = 4600 * boom.sin() + 2700 * (boom + stick).sin()
bucket = torch.stack([reach + 21_000, height + 1_300], 1)
if args.fixed:
    bucket = (bucket - bucket.mean(0)) / bucket.std(0)
angles = torch.stack([boom - boom.mean(), stick - stick.mean()], 1)
loader = DataLoader(TensorDataset(bucket, angles), batch_size=80, shuffle=True)


class Reach(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.inward = nn.Linear(2, width)
        self.middle = nn.ModuleList([nn.Linear(width, width) for _ in range(2)])
        self.joints = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.inward(x))
        for layer in self.middle:
            x = F.silu(layer(x))
        return self.joints(x)


model = Reach().to(device)
optimizer = torch.optim.Adamax(model.parameters(), lr=4e-3)
for epoch in range(5):
    total = 0.0
    for place, target in loader:
        loss = F.l1_loss(model(place.to(device)), target.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(loader)
    print(f"epoch {epoch}: loss {total:.4f}")
