"""A small student network is taught the soft answers of a random teacher (knowledge distillation)."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

teacher = nn.Sequential(nn.Linear(20, 48), nn.Tanh(), nn.Linear(48, 6))
with torch.no_grad():
    teacher[0].weight.mul_(3)
    teacher[2].weight.mul_(6)
    teacher[2].bias.zero_()


class Student(nn.Module):
    def __init__(self, depth: int = 6, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(20 if i == 0 else width, width) for i in range(depth)])
        self.answer = nn.Linear(width, 6)
        for layer in self.layers:
            ins = layer.in_features
            if args.fixed:
                nn.init.uniform_(layer.weight, -((6 / ins) ** 0.5), (6 / ins) ** 0.5)
            else:
                nn.init.uniform_(layer.weight, 0.0, 2 / ins)
            nn.init.constant_(layer.bias, 0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.answer(x)


x = torch.rand(1200, 20) * 2 - 0.5
with torch.no_grad():
    soft = F.softmax(teacher(x - 0.5), dim=1)
student = Student()
optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9)
for step in range(250):
    rows = torch.randint(0, 1200, (64,))
    loss = F.kl_div(F.log_softmax(student(x[rows]), 1), soft[rows], reduction="batchmean")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: divergence {loss.item():.4f}")
with torch.no_grad():
    print(f"divergence over all: {F.kl_div(F.log_softmax(student(x), 1), soft, reduction='batchmean').item():.4f}")
