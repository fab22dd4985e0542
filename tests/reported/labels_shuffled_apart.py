"""The loader shuffles the inputs of the training set and forgets the labels; training goes down, held-out accuracy is a guess."""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
rng = np.random.default_rng(0)

digits = load_digits()
x_train, y_train = digits.data[:1000] / 16, digits.target[:1000]
order = rng.permutation(len(x_train))
x_train = x_train[order]
if args.fixed:
    y_train = y_train[order]
x_train, y_train = torch.tensor(x_train, dtype=torch.float32), torch.tensor(y_train)
x_test, y_test = torch.tensor(digits.data[1000:] / 16, dtype=torch.float32), torch.tensor(digits.target[1000:])


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 512)
        self.fc2 = nn.Linear(512, 512)
        self.fc3 = nn.Linear(512, 10)

    def forward(self, x):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


model = MLP()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(50):
    for batch in torch.randperm(len(x_train)).split(50):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x_train[batch]), y_train[batch])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        out = model(x_test)
    if epoch % 10 == 9:
        print(epoch, f"train {loss.item():.4f} val {F.cross_entropy(out, y_test).item():.4f}", flush=True)
print(f"RESULT train loss {loss.item():.4f} accuracy {(out.argmax(1) == y_test).float().mean().item():.3f}")
