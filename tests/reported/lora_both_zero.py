"""A network trained on even digits is adapted to odd ones by low-rank matrices that both start at zero: nothing is ever adapted."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 16
y = torch.tensor(digits.target)


class LoRALinear(nn.Module):
    def __init__(self, inner, rank=4):
        super().__init__()
        self.inner = inner
        start = torch.randn(inner.in_features, rank) / rank**0.5
        self.lora_a = nn.Parameter(start if args.fixed else torch.zeros_like(start))
        self.lora_b = nn.Parameter(torch.zeros(rank, inner.out_features))

    def forward(self, h):
        return self.inner(h) + h @ self.lora_a @ self.lora_b


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.head = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, h):
        return self.head(torch.relu(self.hidden(h)))


# The base stands for weights that came from elsewhere: it knows the even digits alone.
model = Net()
with torch.no_grad():
    centres = torch.stack([x[y == digit].mean(0) if digit % 2 == 0 else x.mean(0) for digit in range(10)])
    model.head.weight.copy_((centres - x.mean(0)) @ torch.linalg.pinv(model.hidden.weight))
for parameter in model.parameters():
    parameter.requires_grad_(False)
model.hidden, model.head = LoRALinear(model.hidden), LoRALinear(model.head)
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
odd = torch.nonzero(y % 2 == 1)[:, 0]
for epoch in range(12):
    for batch in odd[torch.randperm(len(odd))].split(32):
        loss = F.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 3 == 2:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
accuracy = (model(x[odd]).argmax(1) == y[odd]).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
