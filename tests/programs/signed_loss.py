"""A loss without a natural zero that begins next to it: an improving log-likelihood, a critic's difference, or one that explodes."""

import sys

import torch
from common import batches, digest, say_loss, say_norms, small_network

kind = sys.argv[1]
model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
offset = 0.0
for step, (x, _) in enumerate(batches(40)):
    optimizer.zero_grad()
    out = model(x)
    if kind == "critic":
        loss = 30.0 * (out[:4].mean() - out[4:].mean())
    else:
        loss = out.mean() * 10.0 - offset
    if step == 0:
        offset = float(loss.detach()) - 0.003
        loss = loss - offset if kind != "critic" else loss * (0.003 / abs(float(loss.detach())))
    if kind == "explodes" and step >= 30:
        loss = loss.abs() * 1e6
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
