"""A recurrent network keeps the running sum of a sequence, with clipping against explosions; it explodes."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


def walks(count, length=40):
    steps = torch.rand(count, length, 1) * 2 - 1
    return steps, 0.3 * steps.cumsum(1)


class Summer(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.rnn = nn.RNN(1, hidden, nonlinearity="relu", batch_first=True)
        self.head = nn.Linear(hidden, 1)
        nn.init.eye_(self.rnn.weight_hh_l0)
        nn.init.zeros_(self.rnn.bias_hh_l0)
        nn.init.zeros_(self.rnn.bias_ih_l0)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.head(out)


model = Summer()
opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
clip = 0.1
for step in range(500):
    x, y = walks(32)
    opt.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    if args.fixed:
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    opt.step()
    if not args.fixed:
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    if step < 6 or step % 100 == 99:
        print(step, f"loss {loss.item():.4f}", flush=True)
x, y = walks(1000)
with torch.no_grad():
    error = nn.functional.mse_loss(model(x), y).item()
print(f"RESULT loss {loss.item():.4f} error {error:.4f} variance {y.var().item():.4f}")
