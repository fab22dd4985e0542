"""Survival of patients by a network with the partial likelihood of Cox; with small batches the loss becomes NaN."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
N = 3000
x = torch.randn(N, 10)
risk = 1.2 * x[:, 0] - 0.8 * x[:, 1] + x[:, 2] * x[:, 3]
death = torch.distributions.Exponential(torch.exp(risk - 3)).sample()
leave = torch.rand(N) * 3
durations, events = torch.minimum(death, leave), (death < leave).float()


def cox_ph_loss(log_h, durations, events):
    order = durations.sort(descending=True).indices
    log_h, events = log_h[order], events[order]
    log_risk = torch.logcumsumexp(log_h, 0)
    deaths = events.sum()
    if args.fixed:
        deaths = deaths.clamp(min=1)
    return -((log_h - log_risk) * events).sum() / deaths


def concordance(log_h, durations, events):
    earlier = (durations[:, None] < durations[None, :]) & (events[:, None] == 1)
    return (log_h[:, None] > log_h[None, :])[earlier].float().mean().item()


net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
train = DataLoader(TensorDataset(x[:2400], durations[:2400], events[:2400]), batch_size=24, shuffle=True)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(15):
    net.train()
    total = 0.0
    for features, when, event in train:
        loss = cox_ph_loss(net(features).squeeze(1), when, event)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    if epoch % 3 == 2:
        print(epoch, f"loss {total / len(train):.4f}", flush=True)
net.eval()
with torch.no_grad():
    rank = concordance(net(x[2400:]).squeeze(1), durations[2400:], events[2400:])
print(f"RESULT loss {total / len(train):.4f} deaths {events.mean().item():.3f} concordance {rank:.3f}")
