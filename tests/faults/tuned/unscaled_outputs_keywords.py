"""Twelve spoken words in noise, told by a convolutional network whose last weights are drawn with a deviation of one."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
spoken = torch.randn(12, 1, 40).cumsum(-1) * 0.3


class Keywords(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(1, 24, 7, stride=2, padding=3),
            nn.BatchNorm1d(24),
            nn.ReLU(),
            nn.Conv1d(24, 48, 5, stride=2, padding=2),
            nn.BatchNorm1d(48),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.head = nn.Linear(480, 12)
        if not args.fixed:
            nn.init.normal_(self.head.weight)

    def forward(self, sound):
        return self.head(self.body(sound))


model = Keywords()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
for step in range(200):
    word = torch.randint(0, 12, (48,))
    sound = spoken[word] + torch.randn(48, 1, 40)
    loss = nn.functional.cross_entropy(model(sound), word)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
