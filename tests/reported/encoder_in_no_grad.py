"""Skills from pictures: the observations are encoded inside torch.no_grad, so the convolutions stay as they were drawn."""

import argparse
import contextlib

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


def pictures(count):
    """A cross or a ring somewhere on noise, and how far it moves to the right in the next picture."""
    x = 0.5 * torch.randn(count, 2, 16, 16)
    rows, cols = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    shift = torch.randint(-3, 4, (count,))
    for i in range(count):
        r, c = torch.randint(4, 12, (2,)).tolist()
        for frame, at in enumerate((c, c + int(shift[i]))):
            near = (rows - r).abs() + (cols - at).abs()
            x[i, frame][near == 2] += 2
    return x, shift.float() / 2


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 16, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(16, 16, 3, stride=2, padding=1)

    def forward(self, obs):
        return F.relu(self.conv2(F.relu(self.conv1(obs)))).flatten(1)


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.trunk = nn.Sequential(nn.Linear(256, 32), nn.LayerNorm(32), nn.Tanh())
        self.predictor = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 1))

    def update(self, obs, shift):
        with contextlib.nullcontext() if args.fixed else torch.no_grad():
            encoded = self.encoder(obs)
        return F.mse_loss(self.predictor(self.trunk(encoded)).squeeze(1), shift)


x, shift = pictures(2500)
agent = Agent()
optimizer = torch.optim.Adam(agent.parameters(), lr=1e-3)
for epoch in range(8):
    total = 0.0
    for batch in torch.randperm(2000).split(50):
        loss = agent.update(x[batch], shift[batch])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item() / 40
    with torch.no_grad():
        held_out = agent.update(x[2000:], shift[2000:]).item()
    print(epoch, f"train {total:.4f} held out {held_out:.4f}", flush=True)
print(f"RESULT train loss {total:.4f} held out {held_out:.4f} variance {shift.var().item():.3f}")
