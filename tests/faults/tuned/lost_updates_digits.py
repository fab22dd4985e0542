"""A perceptron stored in bfloat16, trained by plain gradient descent."""

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
dtype = torch.float32 if args.fixed else torch.bfloat16
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)).to(dtype)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(300):
    rows = torch.randint(0, len(images), (64,))
    loss = nn.functional.cross_entropy(model(images[rows].to(dtype)).float(), labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
