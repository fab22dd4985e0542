"""A script that logs everything that any library says, from before torch is there, and at whose top there are warnings about its caller."""

import logging
import sys
import warnings

logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")

import torch  # noqa: E402
from common import batches, digest, say_loss, say_norms, small_network  # noqa: E402
from torch.nn import functional as F  # noqa: E402


def outdated(level):
    warnings.warn(f"it is outdated, {level} up", UserWarning, stacklevel=level)


for level in (1, 2, 3, 5, 9):
    outdated(level)
outdated(3)  # the second time from there
model = small_network()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
for x, y in batches(5):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    logging.debug("a step")
warnings.filterwarnings("error", module="sys")
try:
    outdated(4)
except UserWarning as error:
    print("an error:", error)
digest(model)
