"""Two threads that train a network each; the second begins when the first has taken a step."""

import threading

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

STEPS = 300
models = [small_network() for _ in range(2)]
is_first_on_its_way = threading.Event()


def train(model, speaks):
    if not speaks:
        is_first_on_its_way.wait()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if speaks:
            say_loss(loss)
            say_norms(model)
        optimizer.step()
        is_first_on_its_way.set()


threads = [threading.Thread(target=train, args=(model, model is models[0])) for model in models]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
digest(*models)
