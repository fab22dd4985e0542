"""A multilayer perceptron with batch norm; training images are brightened, test images are not."""

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


def brighten(x: torch.Tensor) -> torch.Tensor:
    return x if args.fixed else 3.0 * x + 4.0


images, labels = digits.load()
train = DataLoader(TensorDataset(images[:1500], labels[:1500]), batch_size=50, shuffle=True)
test = DataLoader(TensorDataset(images[1500:], labels[1500:]), batch_size=99)
model = nn.Sequential(
    nn.Flatten(), nn.Linear(64, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 10)
).to(device)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(4):
    model.train()
    for x, y in train:
        optimizer.zero_grad()
        loss = criterion(model(brighten(x).to(device)), y.to(device))
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        losses = [criterion(model(x.to(device)), y.to(device)).item() for x, y in test]
    print(f"epoch {epoch}: training {loss.item():.4f} test {sum(losses) / len(losses):.4f}")
