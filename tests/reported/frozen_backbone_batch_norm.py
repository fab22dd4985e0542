"""A trained backbone is frozen and a new head is fitted on another lighting; the old task is lost although no old weight moved."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24)
        self.conv2, self.bn2 = nn.Conv2d(24, 48, 3, 2, 1, bias=False), nn.BatchNorm2d(48)

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))).mean((2, 3))


class MultiHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone()
        self.digit_head = nn.Linear(48, 10)
        self.parity_head = nn.Linear(48, 2)


def fit(parameters, forward, x, y, epochs):
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    for epoch in range(epochs):
        for batch in torch.randperm(len(x)).split(50):
            loss = F.cross_entropy(forward(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, f"loss {loss.item():.4f}", flush=True)
    return loss.item()


digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
y = torch.tensor(digits.target)
dim = 0.25 * x + 0.6
model = MultiHead()
model.train()
fit(model.parameters(), lambda b: model.digit_head(model.backbone(b)), x[:1400], y[:1400], 8)
model.eval()
with torch.no_grad():
    before = (model.digit_head(model.backbone(x[1400:])).argmax(1) == y[1400:]).float().mean().item()

for parameter in model.backbone.parameters():
    parameter.requires_grad = False
model.train()
if args.fixed:
    model.backbone.eval()
loss = fit(model.parity_head.parameters(), lambda b: model.parity_head(model.backbone(b)), dim[:1400], y[:1400] % 2, 6)
model.eval()
with torch.no_grad():
    after = (model.digit_head(model.backbone(x[1400:])).argmax(1) == y[1400:]).float().mean().item()
print(f"RESULT loss of the new head {loss:.4f} accuracy of the old head before {before:.3f} after {after:.3f}")
