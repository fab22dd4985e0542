"""An actor and a critic: an episode of forwards with gradient, each of one sample without a batch axis, and then one backward."""

import torch
from common import digest, say_loss, say_norms
from torch import nn


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
        self.actor, self.critic = nn.Linear(8, 2), nn.Linear(8, 1)

    def forward(self, seen):
        hidden = self.body(seen)
        return self.actor(hidden), self.critic(hidden)


model = ActorCritic()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
generator = torch.Generator().manual_seed(1)
for length in (128, 128, 40, 128):
    optimizer.zero_grad()
    losses = []
    for _ in range(length):
        action, value = model(torch.randn(4, generator=generator))
        losses.append(action.log_softmax(0)[0] * 0.1 + value.square().sum())
    loss = torch.stack(losses).mean()
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
