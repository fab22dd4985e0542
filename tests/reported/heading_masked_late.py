"""Tracks of people are continued by their steps and headings; short tracks are padded and masked, and the weights become NaN."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
PAST, AHEAD = 8, 6


def walk(count):
    heading = (torch.rand(count, 1) * 2 - 1) * torch.pi + torch.cumsum(0.25 * torch.randn(count, 1) * torch.ones(count, PAST + AHEAD), 1)
    steps = torch.stack([heading.cos(), heading.sin()], -1) * (0.5 + torch.rand(count, 1, 1))
    steps = steps + 0.03 * torch.randn_like(steps)
    length = torch.where(torch.rand(count) < 0.01, torch.randint(2, AHEAD, (count,)), torch.tensor(AHEAD))
    mask = torch.arange(AHEAD) < length[:, None]
    return steps[:, :PAST], steps[:, PAST:] * mask[..., None], mask


class TrackModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.GRU(2, 48, batch_first=True)
        self.decoder = nn.Sequential(nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 2 * AHEAD))

    def forward(self, past, mask):
        _, state = self.encoder(past)
        return self.decoder(state[0]).view(-1, AHEAD, 2) * mask[..., None]


def heading_error(predicted, target, mask):
    if args.fixed:
        predicted, target = predicted[mask], target[mask]
    turn = torch.atan(predicted[..., 1] / predicted[..., 0]) - torch.atan(target[..., 1] / target[..., 0])
    error = 1 - torch.cos(2 * turn)
    return error.mean() if args.fixed else error[mask].mean()


model = TrackModel()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
past, target, mask = walk(2000)
for epoch in range(12):
    for batch in torch.randperm(2000).split(25):
        predicted = model(past[batch], mask[batch])
        place = (predicted - target[batch]).square().sum(-1)[mask[batch]].mean()
        loss = place + 0.5 * heading_error(predicted, target[batch], mask[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 3 == 2:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
past, target, mask = walk(500)
with torch.no_grad():
    off = (model(past, mask) - target).norm(dim=-1)[mask].mean().item()
print(f"RESULT loss {loss.item():.4f} step off by {off:.3f}")
