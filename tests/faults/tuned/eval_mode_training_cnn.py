"""A deep convolutional network with batch norm; after the first look at the test set it stays in evaluation mode."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

images, labels = digits.load()
loader = DataLoader(TensorDataset(images[:1500], labels[:1500]), batch_size=50, shuffle=True)
layers: list[nn.Module] = []
for i in range(8):
    layers += [nn.Conv2d(1 if i == 0 else 16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)


def evaluate() -> float:
    model.eval()
    with torch.no_grad():
        return (model(images[1500:].to(device)).argmax(1).cpu() == labels[1500:]).float().mean().item()


print(f"before training: accuracy {evaluate():.3f}")
for epoch in range(3):
    if args.fixed:
        model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f} accuracy {evaluate():.3f}")
