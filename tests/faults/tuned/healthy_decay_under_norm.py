"""Signals of three machines: convolutions under batch normalisation with a large decay, which there sets only the step's size."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def signals(count: int) -> tuple[Tensor, Tensor]:
    machine = torch.randint(3, (count,))
    t = torch.arange(64)[None]
    pitch = torch.tensor([0.3, 0.45, 0.7])[machine][:, None] * (0.9 + 0.2 * torch.rand(count, 1))
    x = torch.sin(pitch * t + 2 * math.pi * torch.rand(count, 1)) + 0.5 * torch.sin(2.1 * pitch * t)
    return (x + 0.4 * torch.randn(count, 64)).unsqueeze(1), machine


layers: list[nn.Module] = []
for inputs, outputs in ((1, 16), (16, 24), (24, 32)):
    layers += [nn.Conv1d(inputs, outputs, 5, stride=2, padding=2, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
body = nn.Sequential(*layers)
head = nn.Linear(32, 3)
model = nn.Sequential(body, nn.AdaptiveAvgPool1d(1), nn.Flatten(), head).to(device)
convolutions = [p for p in body.parameters() if p.dim() == 3]
others = [p for p in model.parameters() if p.dim() != 3]
groups = [{"params": convolutions, "weight_decay": 0.2}, {"params": others, "weight_decay": 0.0}]
optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.9)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200)
for step in range(200):
    x, machine = signals(48)
    logits = model(x.to(device))
    loss = F.cross_entropy(logits, machine.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 25 == 24:
        norm = sum(p.norm().item() for p in convolutions)
        accuracy = (logits.argmax(1).cpu() == machine).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f} accuracy {accuracy:.2f} norms {norm:.2f}")
