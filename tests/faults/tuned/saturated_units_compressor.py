"""Compress digits to a code of bounded numbers with a variational autoencoder."""

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


class Compressor(nn.Module):
    def __init__(self, hidden: int = 96, code: int = 12):
        super().__init__()
        self.lift = nn.Linear(64, hidden)
        self.bound1 = nn.Hardtanh()
        self.squeeze = nn.Linear(hidden, hidden)
        self.bound2 = nn.Hardtanh()
        self.mean = nn.Linear(hidden, code)
        self.spread = nn.Linear(hidden, code)
        self.unfold = nn.Sequential(nn.Linear(code, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, 64))
        if not args.fixed:
            nn.init.normal_(self.lift.weight)
            nn.init.normal_(self.squeeze.weight)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.bound2(self.squeeze(self.bound1(self.lift(x))))
        mean, spread = self.mean(h), F.softplus(self.spread(h)) + 1e-3
        return self.unfold(mean + spread * torch.randn_like(spread)), mean, spread


images, _ = digits.load()
loader = DataLoader(TensorDataset(images.flatten(1)), batch_size=40, shuffle=True, drop_last=True)
model = Compressor().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(6):
    total = 0.0
    for (x,) in loader:
        x = x.to(device)
        guess, mean, spread = model(x)
        rest = (guess - x).pow(2).sum(1)
        divergence = 0.5 * (mean.pow(2) + spread.pow(2) - 2 * spread.log() - 1).sum(1)
        loss = (rest + 0.5 * divergence).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: loss {total / len(loader):.3f}")
