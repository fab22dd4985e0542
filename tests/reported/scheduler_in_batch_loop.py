"""A small convolution net with a rate that shall shrink by a tenth each epoch; it stops learning after the second."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn, optim

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
labels = torch.tensor(digits.target)
model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(96, 10),
)
optimizer = optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
criterion = nn.CrossEntropyLoss()
num_epochs = 25
for epoch in range(num_epochs):
    model.train()
    train_loss_total, num_steps = 0.0, 0
    for batch in torch.randperm(1400).split(32):
        loss = criterion(model(images[batch]), labels[batch])
        train_loss_total += loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if not args.fixed:
            scheduler.step()
        num_steps += 1
    if args.fixed:
        scheduler.step()
    if epoch % 5 == 4:
        print(f"Epoch {epoch} train loss {train_loss_total / num_steps:.4f} rate {scheduler.get_last_lr()[0]:.2g}", flush=True)
model.eval()
with torch.no_grad():
    accuracy = (model(images[1400:]).argmax(1) == labels[1400:]).float().mean().item()
print(f"RESULT loss {train_loss_total / num_steps:.4f} accuracy {accuracy:.3f}")
