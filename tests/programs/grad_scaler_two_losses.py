"""Two scaled losses, scaled first and sent backward after; a list of losses; and a scaled loss divided for accumulation."""

import torch
from common import batches, digest, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
for kind, (x, y) in zip(("two", "list", "divided"), batches(3), strict=True):
    optimizer.zero_grad()
    logits = model(x)
    one, two = F.cross_entropy(logits, y), logits.square().mean()
    if kind == "two":
        first, second = scaler.scale(one), scaler.scale(two)
        first.backward(retain_graph=True)
        second.backward()
        print("loss", one.item() + two.item())
    elif kind == "list":
        first, second = scaler.scale([one, two])
        first.backward(retain_graph=True)
        second.backward()
        print("loss", one.item() + two.item())
    else:
        (scaler.scale(one) / 2).backward()
        print("loss", (one / 2).item())
    scaler.step(optimizer)
    scaler.update()
digest(model)
