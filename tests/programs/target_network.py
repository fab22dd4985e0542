"""Q-learning: a target copy gives the targets, within the step and without gradient."""

import copy

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

online = small_network()
target = copy.deepcopy(online)
optimizer = torch.optim.Adam(online.parameters(), lr=0.01)
for step, (x, y) in enumerate(batches(4)):
    with torch.no_grad():
        wanted = 0.9 * target(x.flip(0)).max(1).values
    loss = F.smooth_l1_loss(online(x).gather(1, y[:, None])[:, 0], wanted)
    optimizer.zero_grad()
    loss.backward()
    say_loss(loss)
    say_norms(online)
    optimizer.step()
    if step % 2:
        target.load_state_dict(online.state_dict())
digest(online, target)
