"""A gradient scaler with unscaling and clipping; the third step meets an infinite gradient and is skipped."""

import json

import torch
from common import batches, digest, say_loss, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
for step, (x, y) in enumerate(batches(6)):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    if step == 2:
        loss = loss * 1e38
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    say_loss(loss)
    if step != 2:
        print("clip", float(torch.stack([p.grad.double().norm() for p in model.parameters()]).norm()))
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    norms = {name: float(p.grad.double().norm()) for name, p in model.named_parameters()}
    print("norms", json.dumps(norms if step != 2 else {}))
    scaler.step(optimizer)
    scaler.update()
digest(model)
