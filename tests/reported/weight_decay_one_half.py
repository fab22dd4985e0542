"""A network of three layers, decay set to one half; whatever goes in, the same comes out."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

solver = {"base_lr": 0.05, "momentum": 0.9, "weight_decay": 0.0005 if args.fixed else 0.5, "max_iter": 1500}
digits = load_digits()
data = torch.tensor(digits.data, dtype=torch.float32) / 16
label = torch.tensor(digits.target)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.ip1 = nn.Linear(64, 100)
        self.ip2 = nn.Linear(100, 50)
        self.ip3 = nn.Linear(50, 10)

    def forward(self, x):
        return self.ip3(F.relu(self.ip2(F.relu(self.ip1(x)))))


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=solver["base_lr"], momentum=solver["momentum"], weight_decay=solver["weight_decay"])
for iteration in range(solver["max_iter"]):
    batch = torch.randint(0, 1400, (64,))
    loss = F.cross_entropy(net(data[batch]), label[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if iteration % 300 == 299:
        print(f"Iteration {iteration}, loss = {loss.item():.4f}", flush=True)
with torch.no_grad():
    out = net(data[1400:])
accuracy = (out.argmax(1) == label[1400:]).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f} spread of the outputs {out.std(0).mean().item():.2g}")
