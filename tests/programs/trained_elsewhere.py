"""The training happens in a process that the script starts, as with torch.multiprocessing.spawn: it is not recorded, and that is said."""

import torch
import torch.multiprocessing
from common import batches, digest, small_network
from torch.nn import functional as F


def train(rank: int) -> None:
    model = small_network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    digest(model)


if __name__ == "__main__":
    torch.multiprocessing.spawn(train, nprocs=1)
