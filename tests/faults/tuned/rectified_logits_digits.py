"""A perceptron on digits built in a loop that puts a ReLU behind every layer, the last one included."""

import argparse
from itertools import pairwise

import digits
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
images, labels = digits.load()
sizes = [64, 48, 48, 10]
layers = [nn.Flatten()]
for inputs, outputs in pairwise(sizes):
    layers += [nn.Linear(inputs, outputs), nn.ReLU()]
model = nn.Sequential(*(layers[:-1] if args.fixed else layers))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for step in range(200):
    rows = torch.randint(0, len(images), (64,))
    loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
