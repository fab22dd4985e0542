"""Ends at step 3 in the way the argument names; sets its environment before it imports torch."""

import os
import signal
import sys

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step, (x, y) in enumerate(batches(6)):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    if step == 3:
        digest(model)
        sys.stdout.flush()
        if sys.argv[1] == "exit":
            sys.exit(3)
        elif sys.argv[1] == "quick_exit":
            os._exit(7)
        elif sys.argv[1] == "raise":
            raise KeyError("größe")
        elif sys.argv[1] == "interrupt":
            signal.raise_signal(signal.SIGINT)
        elif sys.argv[1] == "terminate":
            os.kill(os.getpid(), signal.SIGTERM)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
