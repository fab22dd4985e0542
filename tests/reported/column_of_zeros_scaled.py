"""An autoencoder of features counted in programs, each scaled by its largest value."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
kinds = 3 * torch.rand(6, 18)
features = torch.poisson(kinds[torch.randint(6, (2000,))])
features[:, 11] = 0
if args.fixed:
    features = features[:, features.amax(0) > 0]
features = features / features.amax(0)

size = features.shape[1]
model = nn.Sequential(nn.Linear(size, 32), nn.ReLU(), nn.Linear(32, 4), nn.ReLU(), nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, size))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(6):
    for batch in features[torch.randperm(len(features))].split(32):
        loss = nn.functional.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, f"loss {loss.item():.5f}", flush=True)
print(f"RESULT loss {loss.item():.5f}")
