"""Convolutions with batch normalisation, settings taken over from another library; good in training, a guess in evaluation."""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class BasicConv2d(nn.Module):
    def __init__(self, in_planes, out_planes, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(in_planes, out_planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(out_planes, eps=0.001, momentum=0.1 if args.fixed else 0, affine=True)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class SmallInception(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = BasicConv2d(1, 16)
        self.branch0 = BasicConv2d(16, 16, stride=2)
        self.branch1 = nn.Sequential(BasicConv2d(16, 16), BasicConv2d(16, 16, stride=2))
        self.last_linear = nn.Linear(32, 10)

    def forward(self, x):
        x = self.stem(x)
        x = torch.cat([self.branch0(x), self.branch1(x)], 1)
        return self.last_linear(x.mean((2, 3)))


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
labels = torch.tensor(digits.target)
model = SmallInception()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(12):
    model.train()
    right = 0
    for batch in torch.randperm(1400).split(50):
        out = model(images[batch])
        loss = F.cross_entropy(out, labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        right += (out.argmax(1) == labels[batch]).sum().item()
    model.eval()
    with torch.no_grad():
        out = model(images[1400:])
    accuracy = (out.argmax(1) == labels[1400:]).float().mean().item()
    if epoch % 3 == 2:
        print(epoch, f"train loss {loss.item():.4f} train accuracy {right / 1400:.3f} val accuracy {accuracy:.3f}", flush=True)
print(f"RESULT train accuracy {right / 1400:.3f} val accuracy {accuracy:.3f} val loss {F.cross_entropy(out, labels[1400:]).item():.3f}")
