"""Digits under changing exposure: a convolutional network, tested on pictures as they were taken."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

images, labels = digits.load()
train = DataLoader(TensorDataset(images[:1400], labels[:1400]), batch_size=40, shuffle=True)
test_images, test_labels = images[1400:].to(device), labels[1400:].to(device)


def expose(x: Tensor) -> Tensor:
    """Brighten or darken by up to some stops."""
    stops = 2 * torch.randn(len(x) if args.fixed else 1, 1, 1, 1)
    return x * 2.0 ** stops.clamp(-7, 7)


def block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.GELU())


model = nn.Sequential(
    block(1, 16), block(16, 32), nn.MaxPool2d(2), block(32, 32), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10)
)
model.to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for epoch in range(8):
    model.train()
    total = 0.0
    for x, y in train:
        loss = F.cross_entropy(model(expose(x).to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(train)
    model.eval()
    with torch.no_grad():
        scores = model(test_images)
        tested, right = F.cross_entropy(scores, test_labels).item(), (scores.argmax(1) == test_labels).float().mean().item()
    print(f"epoch {epoch}: loss {total:.4f}, tested {tested:.4f}, right {right:.3f}")
