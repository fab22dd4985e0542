"""Retention time of a peptide by an LSTM, times standardised; the answer is zero for every peptide."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(3)
ACIDS, LENGTH = 20, 14


class TimeModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(ACIDS, 16)
        self.lstm = nn.LSTM(16, 32, batch_first=True)
        self.dense = nn.Linear(32, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, peptides):
        _, (hidden, _) = self.lstm(self.embed(peptides))
        y = self.out(torch.relu(self.dense(hidden[-1]))).squeeze(1)
        return y if args.fixed else torch.relu(y)


water = torch.randn(ACIDS)
peptides = torch.randint(0, ACIDS, (4000, LENGTH))
times = water[peptides].sum(1)
times = (times - times.mean()) / times.std() - 0.5 + 0.05 * torch.randn(4000)
model = TimeModel()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
loss_fn = nn.MSELoss()
for epoch in range(10):
    total = 0.0
    for batch in torch.randperm(3200).split(64):
        loss = loss_fn(model(peptides[batch]), times[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    if epoch % 2 == 1:
        print(epoch, f"loss {total / 3200:.4f}", flush=True)
with torch.no_grad():
    answers = model(peptides[3200:])
error = (answers - times[3200:]).square().mean().item()
print(f"RESULT loss {total / 3200:.4f} error {error:.4f} answers that are zero {(answers == 0).float().mean().item():.3f}")
