"""Features of a residual network pass a dropout that is built anew in forward; each evaluation gives another answer."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class FineGrained(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 24, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(24)
        self.conv2 = nn.Conv2d(24, 24, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(24)
        self.fc1 = nn.Linear(24 * 4, 48)
        self.fc2 = nn.Linear(48, 10)
        self.drop = nn.Dropout(p=0.5)

    def dropout(self, x):
        return self.drop(x) if args.fixed else nn.Dropout(p=0.5)(x)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x)) + x), 2)
        x = self.dropout(x.view(x.size(0), -1))
        x = self.dropout(F.relu(self.fc1(x)))
        return self.fc2(x)


digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
y = torch.tensor(digits.target)
model = FineGrained()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(6):
    model.train()
    for batch in torch.randperm(1400).split(50):
        loss = F.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        out = model(x[1400:])
        again = model(x[1400:])
    accuracy = (out.argmax(1) == y[1400:]).float().mean().item()
    print(epoch, f"train {loss.item():.3f} val {F.cross_entropy(out, y[1400:]).item():.3f} accuracy {accuracy:.3f}", flush=True)
differ = (out.argmax(1) != again.argmax(1)).float().mean().item()
print(
    f"RESULT val loss {F.cross_entropy(out, y[1400:]).item():.3f} accuracy {accuracy:.3f} answers that differ between two runs {differ:.3f}"
)
