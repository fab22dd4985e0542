"""Gesture recognition from four kinds of wrist bands, each with its own scale and offset."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

GESTURES, SENSORS = 8, 20
prototype = torch.randn(GESTURES, SENSORS)
gain = torch.tensor([0.3, 0.8, 1.5, 3.0])
offset = 2.5 * torch.randn(4, SENSORS)


def measure(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return measurements, the gestures, and by which band they were made."""
    band = torch.arange(count) * 4 // count
    gesture = torch.randint(GESTURES, (count,))
    signal = prototype[gesture] + 0.7 * torch.randn(count, SENSORS)
    return gain[band, None] * signal + offset[band], gesture, band


class Recogniser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm0 = nn.BatchNorm1d(SENSORS)
        self.fc1 = nn.Linear(SENSORS, 96)
        self.norm1 = nn.BatchNorm1d(96)
        self.fc2 = nn.Linear(96, 96)
        self.norm2 = nn.BatchNorm1d(96)
        self.out = nn.Linear(96, GESTURES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.fc1(self.norm0(x))))
        return self.out(F.relu(self.norm2(self.fc2(x))))


train_x, train_y, _ = measure(2560)
test_x, test_y, _ = measure(1024)
model = Recogniser()
optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
order = torch.arange(len(train_x))
for epoch in range(5):
    model.train()
    if args.fixed:
        order = torch.randperm(len(train_x))
    parts = order.split(64)
    total = 0.0
    for number in torch.randperm(len(parts)).tolist():
        index = parts[number]
        loss = F.cross_entropy(model(train_x[index]), train_y[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(parts)
    model.eval()
    with torch.no_grad():
        logits = model(test_x)
    right = (logits.argmax(1) == test_y).float().mean()
    print(f"epoch {epoch}: training loss {total:.3f}, test loss {F.cross_entropy(logits, test_y):.3f}, right {right:.3f}")
