"""A hook of the script's own raises; the script catches it and trains on."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F


class Refused(Exception):
    pass


def refuse(module, args, output):
    if step == 1:
        raise Refused("not this batch")


model = small_network()
model[2].register_forward_hook(refuse)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step, (x, y) in enumerate(batches(4)):  # noqa: B007 - the hook reads it
    optimizer.zero_grad()
    try:
        loss = F.cross_entropy(model(x), y)
    except Refused as error:
        print("refused:", error)
        continue
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
