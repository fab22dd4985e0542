"""Regress a wave from its parameters with a deep transposed-convolution decoder, Adam."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

layers: list[nn.Module] = [nn.Linear(2, 16 * 8), nn.Unflatten(1, (16, 8))]
for _ in range(10):
    layers += [nn.Conv1d(16, 16, 5, padding=2), nn.LeakyReLU(0.2)]
layers += [nn.ConvTranspose1d(16, 16, 4, stride=2, padding=1), nn.LeakyReLU(0.2), nn.ConvTranspose1d(16, 1, 4, stride=2, padding=1)]
model = nn.Sequential(*layers).to(device)
for module in model:
    if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d)):
        nn.init.xavier_normal_(module.weight, gain=1.0 if args.fixed else 5.0)

optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
time = torch.linspace(0, 1, 32)
for step in range(120):
    parameters = torch.rand(64, 2, device=device)
    target = torch.sin(6.28 * (2 * parameters[:, :1] * time + parameters[:, 1:]))
    loss = F.mse_loss(model(parameters).squeeze(1), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4g}")
