"""The training diverges at step 25, and the process is killed right after it; the rate is an array, halved in place."""

import os
import signal

import numpy as np
import torch
from common import batches, small_network
from torch.nn import functional as F

model = small_network()
rate = np.array(0.05)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for number, (x, y) in enumerate(batches(27)):
    optimizer.param_groups[0]["lr"] = rate
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    (loss * float("nan") if number == 25 else loss).backward()
    optimizer.step()
    rate *= 0.5
    if number == 26:
        os.kill(os.getpid(), signal.SIGKILL)
