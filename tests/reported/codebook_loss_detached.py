"""A codebook of actions: its loss is taken of the straight-through output, which is detached from the codebook; it never moves."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
MOVES = torch.randn(8, 6) * 1.5


class Quantizer(nn.Module):
    def __init__(self, codes=16, width=4):
        super().__init__()
        self.codebook = nn.Embedding(codes, width)
        nn.init.uniform_(self.codebook.weight, -1 / codes, 1 / codes)

    def forward(self, x):
        indices = torch.cdist(x, self.codebook.weight).argmin(1)
        z = self.codebook(indices)
        return x + (z - x).detach(), z, indices


class ActionModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 4))
        self.quantizer = Quantizer()
        self.decoder = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 6))

    def forward(self, before, after):
        x = self.encoder(torch.cat([before, after], 1))
        straight, z, indices = self.quantizer(x)
        return self.decoder(torch.cat([before, straight], 1)), x, straight, z, indices


model = ActionModel()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(800):
    before = torch.randn(128, 6)
    after = before + MOVES[torch.randint(0, 8, (128,))]
    guess, x, straight, z, indices = model(before, after)
    quantized = z if args.fixed else straight
    commitment = F.mse_loss(x, (z if args.fixed else straight).detach())
    reconstruction = F.mse_loss(guess, after)
    loss = reconstruction + F.mse_loss(quantized, x.detach()) + 0.25 * commitment
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 200 == 199:
        print(step, f"reconstruction {reconstruction.item():.4f} codes used {len(indices.unique())}", flush=True)
print(f"RESULT reconstruction {reconstruction.item():.4f} codes used {len(indices.unique())}")
