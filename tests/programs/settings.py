"""Warnings as errors, float64 by default, deterministic algorithms, anomaly detection and the profiler."""

import warnings

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

warnings.simplefilter("error")
torch.set_default_dtype(torch.float64)
torch.use_deterministic_algorithms(True)
model = nn.Sequential(nn.Conv1d(6, 8, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with torch.autograd.set_detect_anomaly(True, check_nan=False):
    for x, y in batches(4, 8, 6, 1):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.double()), y)
        loss.backward()
        say_loss(loss)
        say_norms(model)
        optimizer.step()
digest(model)
