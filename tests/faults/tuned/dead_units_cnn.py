"""A convolutional network on inverted images."""

import argparse

import digits
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

images, labels = digits.load(standardise=False)
images = images / 16 - 1  # paper is -1, ink is 0
loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True, drop_last=True)
features = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2))
model = nn.Sequential(features, nn.Flatten(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)).to(device)
if args.fixed:
    nn.init.uniform_(features[0].weight, -0.5, 0.5)
else:
    nn.init.uniform_(features[0].weight, 0.0, 0.5)
nn.init.zeros_(features[0].bias)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for epoch in range(4):
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x.to(device)), y.to(device))
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
