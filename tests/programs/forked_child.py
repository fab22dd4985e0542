"""Children by fork: one ends by sys.exit, one by os._exit, one trains a step of its own."""

import os
import sys

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step, (x, y) in enumerate(batches(6)):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    if step in (1, 2, 3):
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            if step == 1:
                sys.exit(3)
            elif step == 2:
                os._exit(4)
            for _ in range(3):
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
            sys.exit(5)
        print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
