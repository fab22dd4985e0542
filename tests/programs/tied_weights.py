"""An autoencoder whose decoder uses the encoder's weight."""

import torch
from common import digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 5)
        self.mix = nn.Linear(5, 5)
        self.out = nn.Linear(5, 9, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, tokens):
        return self.out(torch.tanh(self.mix(self.embed(tokens))))


model = Tied()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(4):
    tokens = torch.randint(9, (4, 6))
    optimizer.zero_grad()
    loss = F.cross_entropy(model(tokens).transpose(1, 2), tokens.roll(1, 1))
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
