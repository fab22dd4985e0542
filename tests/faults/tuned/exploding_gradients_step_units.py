"""Digits through nine layers of units that answer plus or minus one, with a stand-in for the derivative of the step."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

images, labels = digits.load()
loader = DataLoader(TensorDataset(images.flatten(1), labels), batch_size=64, shuffle=True, drop_last=True)
STEEPNESS = 1.2 if args.fixed else 4.0


class Step(torch.autograd.Function):
    @staticmethod
    def forward(context, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        return gradient * STEEPNESS * (x.abs() < 1)


class Fire(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Step.apply(x)


class Layers(nn.Module):
    def __init__(self, depth: int = 9, width: int = 96):
        super().__init__()
        self.dense = nn.ModuleList([nn.Linear(64 if i == 0 else width, width) for i in range(depth)])
        self.fire = nn.ModuleList([Fire() for _ in range(depth)])
        self.digit = nn.Linear(width, 10)
        for layer in self.dense:
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        for dense, fire in zip(self.dense, self.fire, strict=True):
            x = fire(dense(x))
        return self.digit(x)


model = Layers().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
for epoch in range(8):
    total = 0.0
    for x, y in loader:
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(loader)
    print(f"epoch {epoch}: loss {total:.4f}")
