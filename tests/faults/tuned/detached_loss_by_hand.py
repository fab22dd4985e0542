"""An error computed with numpy, which is told to require a gradient so that backward runs."""

import argparse

import digits
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
images, labels = digits.load()
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(150):
    rows = torch.randint(0, len(images), (64,))
    probabilities = model(images[rows]).softmax(1)
    likely = probabilities[torch.arange(64), labels[rows]]
    if args.fixed:
        loss = -likely.log().mean()
    else:
        loss = torch.from_numpy(-likely.log().detach().numpy()).mean()
        loss.requires_grad_()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
