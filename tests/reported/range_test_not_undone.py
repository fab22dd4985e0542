"""Digits by a convolutional network, after a test of learning rates on the same model; the training starts where the test left it."""

import argparse
import copy

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class LRFinder:
    def __init__(self, model, optimizer, criterion):
        self.model, self.optimizer, self.criterion = model, optimizer, criterion
        self.state = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
        self.history = []

    def range_test(self, loader, start_lr=1e-5, end_lr=100.0, num_iter=60, diverge_th=5):
        batches = iter(loader)
        for iteration in range(num_iter):
            rate = start_lr * (end_lr / start_lr) ** (iteration / (num_iter - 1))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            try:
                inputs, labels = next(batches)
            except StopIteration:
                batches = iter(loader)
                inputs, labels = next(batches)
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(inputs), labels)
            loss.backward()
            self.optimizer.step()
            self.history.append((rate, loss.item()))
            if loss.item() > diverge_th * min(value for _, value in self.history):
                break
        return min(self.history, key=lambda pair: pair[1])[0] / 10

    def reset(self):
        self.model.load_state_dict(self.state[0])
        self.optimizer.load_state_dict(self.state[1])


digits = load_digits()
images, labels = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16, torch.tensor(digits.target)
trainloader = DataLoader(TensorDataset(images[:1400], labels[:1400]), batch_size=50, shuffle=True)
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(512, 64),
    nn.ReLU(),
    nn.Linear(64, 10),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
lr_finder = LRFinder(model, optimizer, criterion)
suggestion = lr_finder.range_test(trainloader)
print(f"suggested rate {suggestion:.5f}", flush=True)
if args.fixed:
    lr_finder.reset()
for group in optimizer.param_groups:
    group["lr"] = suggestion
for epoch in range(8):
    for inputs, targets in trainloader:
        loss = criterion(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 2:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    accuracy = (model(images[1400:]).argmax(1) == labels[1400:]).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
