"""An autoencoder with batch norm; the device holds two images, gradients are accumulated over eight passes."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

MICRO, PASSES = (32, 1) if args.fixed else (2, 16)
images, _ = digits.load()
loader = DataLoader(TensorDataset(images.flatten(1)), batch_size=MICRO, shuffle=True, drop_last=True)
model = nn.Sequential(
    nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 64)
).to(device)
optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
passes = 0
for epoch in range(2):
    for (x,) in loader:
        x = x.to(device)
        loss = F.mse_loss(model(x), x)
        (loss / PASSES).backward()
        passes += 1
        if passes % PASSES == 0:
            optimizer.step()
            optimizer.zero_grad()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
