"""Data loaded by two worker processes, started as the argument says: "fork" or "spawn"."""

import sys

import torch
from common import digest, say_loss, say_norms, small_network
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset


class Squares(Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, index):
        x = torch.full((6,), float(index)).sin()
        return small(x), index % 3


def small(x):
    with torch.no_grad():
        return torch.nn.functional.layer_norm(x + torch.arange(6), (6,))


if __name__ == "__main__":
    model = small_network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        for x, y in DataLoader(Squares(), 8, num_workers=2, multiprocessing_context=sys.argv[1]):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            say_loss(loss)
            say_norms(model)
            optimizer.step()
    digest(model)
