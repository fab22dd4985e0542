"""A siamese network with batch norm: every layer is called twice a step, on purpose."""

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
images = images.flatten(1)
encoder = nn.Sequential(nn.Linear(64, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 24)).to(device)
optimizer = torch.optim.SGD(encoder.parameters(), lr=0.05, momentum=0.9)
for step in range(150):
    i, j = torch.randint(len(images), (2, 96))
    j[:48] = torch.tensor([int(torch.nonzero(labels == labels[k])[torch.randint(100, ())]) for k in i[:48]])
    a, b = encoder(images[i].to(device)), encoder(images[j].to(device))
    distance = (a - b).pow(2).mean(dim=1)
    same = (labels[i] == labels[j]).to(device)
    loss = torch.where(same, distance, F.relu(1 - distance)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
