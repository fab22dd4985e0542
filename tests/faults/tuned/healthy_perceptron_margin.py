"""A hinge loss on an easy task: soon most batches have a loss of exactly zero, and gradients too."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
images, labels = digits.load()
pixels = images.flatten(1)
odd = torch.isin(labels, torch.tensor([0, 6]))
even = torch.isin(labels, torch.tensor([1, 7]))
chosen = odd | even
pixels, sign = pixels[chosen], odd[chosen].float() * 2 - 1
train_x, train_y, held_x, held_y = pixels[:560], sign[:560], pixels[560:], sign[560:]

model = nn.Sequential(nn.Linear(64, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1, bias=False))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.5)
for epoch in range(12):
    silent = 0
    order = torch.randperm(len(train_x))
    for rows in order.split(28):
        score = model(train_x[rows]).squeeze(1)
        loss = F.relu(0.5 - train_y[rows] * score).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        silent += loss.item() == 0
    with torch.no_grad():
        accuracy = (model(held_x).squeeze(1) * held_y > 0).float().mean().item()
    print(f"epoch {epoch}: last loss {loss.item():.4f}, {silent} silent batches of {len(order) // 28}, accuracy {accuracy:.3f}")
