"""No optimizer object, and gradients that stay in place; or that are gathered over two backward calls, and then cleared."""

import sys

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

gathered = sys.argv[1] == "gathered"
model = small_network()
for step, (x, y) in enumerate(batches(6)):
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    before = model[0].weight.detach().clone()
    if not gathered or step % 2:
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.1 * p.grad
                if gathered:
                    p.grad = None
    print("moved", float((model[0].weight.detach() - before).double().norm()))
digest(model)
