"""Functions of the standard library that are replaced while it trains: clocks that stand still or fail, a process without a number."""

import os
import signal
import time

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F


def fails(*arguments, **keywords):
    raise OSError("replaced")


model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
print(signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP), signal.signal(signal.SIGTERM, signal.SIG_DFL))
for step, (x, y) in enumerate(batches(6)):
    if step == 2:
        time.time = time.perf_counter = time.monotonic = time.process_time = lambda: 1.0
    if step == 4:
        time.time = time.perf_counter = time.monotonic = time.process_time = fails
        os.getpid = os.kill = signal.getsignal = signal.signal = signal.raise_signal = fails
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
