"""Errors that the script catches and shows in full, from within all that the recorder stands around, and warnings about the caller."""

import logging
import sys
import threading
import traceback
import warnings

import pytest
import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
warnings.simplefilter("always")


class Fails(nn.Module):
    calls = 0

    def forward(self, x):
        for level in range(1, 7):
            with warnings.catch_warnings(record=True) as caught:
                warnings.warn("about the caller", stacklevel=level)
            print(caught[0].filename.rpartition("/")[2], caught[0].lineno)
        Fails.calls += 1
        if Fails.calls % 3 == 0:
            raise RuntimeError("out of memory")
        return x


def failing_closure():
    raise KeyError("closure")


model = nn.Sequential(nn.Linear(6, 8), Fails(), nn.ReLU(), nn.Linear(8, 3))
hooked = model[2].register_forward_hook(lambda module, args, output: None)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step, (x, y) in enumerate(batches(6)):
    while True:
        optimizer.zero_grad()
        try:
            loss = F.cross_entropy(model(x), y)
            break
        except RuntimeError as error:
            logging.exception("again")
            print(len(traceback.extract_tb(error.__traceback__)))
    loss.backward()
    say_loss(loss)
    say_norms(model)
    for failing in (loss.backward, lambda: optimizer.step(failing_closure), lambda: optimizer.add_param_group({"params": ["text"]})):
        try:
            failing()
        except Exception:
            print(traceback.format_exc())
            print(pytest.ExceptionInfo.from_current().getrepr(style="short"))
    optimizer.step()
    if step == 3:
        hooked.remove()
thread = threading.Thread(target=loss.backward, name="fails")
thread.start()
thread.join()
print([entry.name for entry in traceback.extract_stack() if "programs" in entry.filename])
digest(model)
