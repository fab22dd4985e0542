"""Evaluation between steps, properly: before training, under no_grad, under inference_mode, on single modules."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch import nn
from torch.nn import functional as F

model = small_network()
softmax = nn.Softmax(1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = next(batches(1))
model.eval()
with torch.no_grad():
    softmax(model(x))
for step, (x, y) in enumerate(batches(6)):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    model.eval()
    if step == 1:
        with torch.no_grad():
            for _ in range(3):
                print("accuracy", float((softmax(model(x)).argmax(1) == y).float().mean()))
    if step == 3:
        with torch.inference_mode():
            for _ in range(12):
                print("accuracy", float((model(x).argmax(1) == y).float().mean()))
digest(model)
