"""The script is replaced by another program, in its own process: ``starts``, or ``fails`` where that cannot be started."""

import os
import sys
from pathlib import Path

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def train(steps: int) -> None:
    for x, y in batches(steps):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        say_loss(loss)
        say_norms(model)
        optimizer.step()


train(2)
if sys.argv[1] == "fails":
    unusable = Path("program")
    unusable.write_bytes(b"\0")
    unusable.chmod(0o700)
    for path in (str(unusable), "no/such/program", 3.5):
        try:
            os.execv(path, ["program"])
        except (OSError, TypeError) as error:
            print(type(error).__name__)
train(2)
digest(model)
sys.stdout.flush()
if sys.argv[1] == "starts":
    os.execvpe(sys.executable, [sys.executable, "-S", "-c", "print('another')"], {**os.environ})
