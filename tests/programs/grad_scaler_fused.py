"""A fused optimizer unscales by itself, inside its step, and is called even for the step that it has to skip."""

import json

import torch
from common import batches, digest, say_loss, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=True)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
for step, (x, y) in enumerate(batches(6)):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    if step == 2:
        loss = loss * 1e38
    scaler.scale(loss).backward()
    say_loss(loss)
    scale = scaler.get_scale()
    print("norms", json.dumps({n: float(p.grad.double().norm()) / scale for n, p in model.named_parameters()} if step != 2 else {}))
    scaler.step(optimizer)
    scaler.update()
digest(model)
