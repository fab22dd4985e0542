"""No optimizer object: weights move by hand, in three ways."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

model = small_network()
for step, (x, y) in enumerate(batches(6)):
    loss = F.cross_entropy(model(x), y)
    model.zero_grad()
    loss.backward()
    say_loss(loss)
    say_norms(model)
    before = model[0].weight.detach().clone()
    if step % 3 == 0:
        for p in model.parameters():
            p.data -= 0.1 * p.grad
    elif step % 3 == 1:
        with torch.no_grad():
            for p in model.parameters():
                p.sub_(p.grad, alpha=0.1)
                p.grad = None
    else:
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(p - 0.1 * p.grad)
                p.grad.zero_()
    print("moved", float((model[0].weight.detach() - before).double().norm()))
digest(model)
