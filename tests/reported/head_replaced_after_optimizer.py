"""A small residual network is fitted to a new number of classes; the optimizer was built before the last layer was replaced."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(1)


class BasicBlock(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout)) if cin != cout else nn.Identity()

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.downsample(x))


class ResNet(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.layer1 = BasicBlock(16, 16)
        self.layer2 = BasicBlock(16, 32, 2)
        self.fc = nn.Linear(32, num_classes)

    def features(self, x):
        return self.layer2(self.layer1(F.relu(self.stem(x)))).mean((2, 3))

    def forward(self, x):
        return self.fc(self.features(x))


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
labels = torch.tensor(digits.target)
loader = DataLoader(TensorDataset(images[:1400], labels[:1400]), batch_size=64, shuffle=True)

model = ResNet()
for name, parameter in model.named_parameters():
    if not name.startswith(("layer2", "fc")):
        parameter.requires_grad = False
if args.fixed:
    model.fc = nn.Linear(32, 10)
optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01, momentum=0.9, weight_decay=1e-4)
if not args.fixed:
    model.fc = nn.Linear(32, 10)

for epoch in range(5):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        out = model(images[1400:])
    accuracy = (out.argmax(1) == labels[1400:]).float().mean().item()
    print(epoch, f"loss {loss.item():.3f} val {F.cross_entropy(out, labels[1400:]).item():.3f} acc {accuracy:.3f}", flush=True)
print(f"RESULT loss {loss.item():.3f} accuracy {accuracy:.3f}")
