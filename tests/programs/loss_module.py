"""A loss module without reduction, in a variable of its own: it is no layer of the model."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch import nn

flatten = nn.Flatten()
model = small_network()
criterion = nn.CrossEntropyLoss(reduction="none")
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = criterion(model(flatten(x)), y).mean()
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
