"""torch.jit.script, trace and export while training, and their results evaluated."""

import warnings

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

warnings.simplefilter("ignore")
model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step, (x, y) in enumerate(batches(5)):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    with torch.no_grad():
        if step == 1:
            other = torch.jit.script(model)
        elif step == 2:
            other = torch.jit.trace(model, x)
        elif step == 3:
            other = torch.export.export(model, (x,)).module()
        else:
            continue
        torch.testing.assert_close(other(x), model(x))
        print(type(other).__name__)
digest(model)
