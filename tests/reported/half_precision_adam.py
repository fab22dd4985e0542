"""The whole network in half precision to save memory: trains with SGD, but with Adam the weights are NaN at once."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.fc2(F.relu(self.fc1(self.norm(x))))


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(64, 64)
        self.blocks = nn.ModuleList([Block(64) for _ in range(3)])
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


digits = load_digits()
x = torch.tensor(digits.data / 16, dtype=torch.float16)
y = torch.tensor(digits.target)
model = Mixer().half()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-4 if args.fixed else 1e-8)
for step in range(200):
    batch = torch.randint(0, 1400, (64,))
    loss = F.cross_entropy(model(x[batch]).float(), y[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step < 3 or step % 50 == 49:
        print(step, loss.item(), flush=True)
with torch.no_grad():
    accuracy = (model(x[1400:]).float().argmax(1) == y[1400:]).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
