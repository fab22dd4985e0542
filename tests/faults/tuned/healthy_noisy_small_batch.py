"""Two samples a step: the loss jumps about, and falls."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

images, labels = digits.load()
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
running = 2.3
for step in range(300):
    chosen = torch.randint(len(images), (2,))
    loss = F.cross_entropy(model(images[chosen].to(device)), labels[chosen].to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    running = 0.95 * running + 0.05 * loss.item()
    if step % 50 == 0:
        print(f"step {step}: loss {running:.4f}")
