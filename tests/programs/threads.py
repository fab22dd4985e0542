"""Training in a thread that is not the main one, while another thread evaluates a copy."""

import copy
import threading

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

model = small_network()
copied = copy.deepcopy(model).eval()
over = threading.Event()


def evaluate():
    while not over.is_set():
        with torch.no_grad():
            copied(torch.ones(2, 6))


def train():
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(5):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        say_loss(loss)
        say_norms(model)
        optimizer.step()


threads = [threading.Thread(target=train), threading.Thread(target=evaluate)]
for thread in threads:
    thread.start()
threads[0].join()
over.set()
threads[1].join()
digest(model)
