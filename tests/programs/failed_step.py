"""A closure that raises inside ``step`` once: the steps after it count."""

import torch
from common import batches, digest, say_loss, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for number, (x, y) in enumerate(batches(5)):

    def closure(number=number, x=x, y=y):
        optimizer.zero_grad()
        if number == 1:
            raise ValueError("a bad batch")
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        say_loss(loss)
        return loss

    try:
        optimizer.step(closure)
    except ValueError as error:
        print(error)
digest(model)
