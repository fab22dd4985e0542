"""A network by hand draws its weights from the standard normal, whatever their number: every tanh is at its bounds."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class FullyConnected(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        scale = i**-0.5 if args.fixed else 1.0
        self.weight = nn.Parameter(torch.randn(o, i) * scale)
        self.bias = nn.Parameter(torch.zeros(o))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 8 - 1
y = torch.tensor(digits.target)
model = nn.Sequential(
    FullyConnected(64, 128),
    nn.Tanh(),
    FullyConnected(128, 128),
    nn.Tanh(),
    FullyConnected(128, 128),
    nn.Tanh(),
    FullyConnected(128, 10),
    nn.LogSoftmax(1),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
for epoch in range(15):
    for batch in torch.randperm(1400).split(32):
        loss = F.nll_loss(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 3 == 2:
        accuracy = (model(x[1400:]).argmax(1) == y[1400:]).float().mean().item()
        print(epoch, f"loss {loss.item():.4f} accuracy {accuracy:.3f}", flush=True)
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
