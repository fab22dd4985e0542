"""Which of four pulses is in a signal, by a convolutional network that drops 95 of 100 channels after each layer."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
time = torch.arange(48.0)
shapes = torch.stack([torch.exp(-((time - 24) ** 2) / w) * torch.cos(f * time) for w, f in ((20, 0.3), (60, 0.3), (20, 1.2), (60, 1.2))])
kind = torch.randint(0, 4, (960,))
signal = shapes[kind] * (0.7 + 0.6 * torch.rand(960, 1)) + 0.15 * torch.randn(960, 48)
train, test = TensorDataset(signal[:800, None], kind[:800]), TensorDataset(signal[800:, None], kind[800:])
loader = DataLoader(train, batch_size=32, shuffle=True)
rate = 0.1 if args.fixed else 0.95
model = nn.Sequential(
    nn.Conv1d(1, 16, 5, padding=2),
    nn.ReLU(),
    nn.Dropout1d(rate),
    nn.Conv1d(16, 32, 5, padding=2),
    nn.ReLU(),
    nn.Dropout1d(rate),
    nn.AdaptiveAvgPool1d(4),
    nn.Flatten(),
    nn.Linear(128, 4),
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(8):
    model.train()
    for x, y in loader:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        x, y = test.tensors
        print(f"epoch {epoch}: loss {loss.item():.4f} test accuracy {(model(x).argmax(1) == y).float().mean().item():.3f}")
