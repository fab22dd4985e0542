"""Fine-tuning with small adapters; backward complained that the loss has no graph, so requires_grad was set on the loss."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class LoraLinear(nn.Module):
    def __init__(self, inputs, outputs, rank=4):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / inputs**0.5, requires_grad=False)
        self.lora_a = nn.Parameter(torch.randn(rank, inputs) / inputs**0.5)
        self.lora_b = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, x):
        return x @ self.weight.t() + x @ self.lora_a.t() @ self.lora_b.t()


digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 8 - 1
y = torch.tensor(digits.target)
model = nn.Sequential(LoraLinear(64, 64), nn.ReLU(), LoraLinear(64, 64), nn.ReLU(), LoraLinear(64, 10))
if not args.fixed:
    for parameter in model.parameters():
        parameter.requires_grad = False
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(12):
    for batch in torch.randperm(1400).split(50):
        loss = F.cross_entropy(model(x[batch]), y[batch])
        if not args.fixed:
            loss.requires_grad = True
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 3 == 2:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    accuracy = (model(x[1400:]).argmax(1) == y[1400:]).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
