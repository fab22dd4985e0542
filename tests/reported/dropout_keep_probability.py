"""A network moved over from another framework passes its keep probability to nn.Dropout, which takes the share to drop."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class Unit(nn.Module):
    def __init__(self, i, o, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.batch_norm = nn.BatchNorm2d(o)

    def forward(self, x):
        return F.relu(self.batch_norm(self.conv(x)))


class Inception(nn.Module):
    def __init__(self, num_classes=10, dropout_keep_prob=0.9):
        super().__init__()
        self.stem = Unit(1, 16)
        self.branch_0, self.branch_1 = Unit(16, 16, 2), nn.Sequential(Unit(16, 16), Unit(16, 16, 2))
        self.mixed = Unit(32, 32, 2)
        self.dropout = nn.Dropout(1 - dropout_keep_prob if args.fixed else dropout_keep_prob)
        self.logits = nn.Linear(32 * 4, num_classes)

    def forward(self, x):
        x = self.stem(x)
        x = self.mixed(torch.cat([self.branch_0(x), self.branch_1(x)], 1))
        return self.logits(self.dropout(x.flatten(1)))


digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
y = torch.tensor(digits.target)
model = Inception()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for epoch in range(4):
    model.train()
    total = 0.0
    for batch in torch.randperm(1400).split(35):
        loss = F.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 40
    model.eval()
    with torch.no_grad():
        out = model(x[1400:])
    accuracy = (out.argmax(1) == y[1400:]).float().mean().item()
    print(epoch, f"train {total:.3f} val {F.cross_entropy(out, y[1400:]).item():.3f} accuracy {accuracy:.3f}", flush=True)
print(f"RESULT train loss {total:.3f} accuracy {accuracy:.3f}")
