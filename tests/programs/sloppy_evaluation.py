"""Evaluation with gradients enabled, in eval mode, before training and between steps: no part of any step."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def evaluate(times):
    model.eval()
    for x, y in batches(times):
        print("accuracy", float((model(x).argmax(1) == y).float().mean()))
    model.train()


evaluate(2)
for step, (x, y) in enumerate(batches(6)):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    if step % 2:
        evaluate(10)
digest(model)
