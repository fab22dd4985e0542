"""The script profiles parts of its training and prints how often each operation ran."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.autograd import profiler
from torch.nn import functional as F


def say_counts(profile):
    print(sorted((event.key, event.count) for event in profile.key_averages()))


model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
for step, (x, y) in enumerate(batches(6)):
    with profiler.profile(enabled=step in (1, 4), record_shapes=True) as whole:
        optimizer.zero_grad()
        with profiler.profile(enabled=step == 2) as forward:
            loss = F.cross_entropy(model(x), y)
        with profiler.profile(enabled=step == 3) as backward:
            loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        say_loss(loss)
        say_norms(model)
        with profiler.profile(enabled=step == 5) as update:
            optimizer.step()
    for profile in (whole, forward, backward, update):
        if profile is not None:
            say_counts(profile)
digest(model)
