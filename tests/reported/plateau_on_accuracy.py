"""A schedule that waits for a plateau is given the accuracy and left to look for a minimum; the rate falls while the model improves."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class StateMixer(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, rows):
        out, _ = self.rnn(F.gelu(self.embed(rows)))
        return self.head(self.norm(out).mean(1))


digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32) / 16
y = torch.tensor(digits.target)
model = StateMixer()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scheduler = ReduceLROnPlateau(optimizer, mode="max" if args.fixed else "min", factor=0.2, patience=0)
for epoch in range(14):
    model.train()
    for batch in torch.randperm(1400).split(64):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[batch]), y[batch])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(x[1400:]).argmax(1) == y[1400:]).float().mean().item()
    scheduler.step(accuracy)
    print(epoch, f"loss {loss.item():.4f} accuracy {accuracy:.3f} rate {optimizer.param_groups[0]['lr']:.2g}", flush=True)
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
