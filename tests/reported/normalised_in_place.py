"""Digits held in memory, normalised as each is fetched; training goes well at first and gets worse with each epoch."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


def normalise(image, mean, std):
    if args.fixed:
        image = image.clone()
    return image.sub_(mean).div_(std)


class Digits(Dataset):
    def __init__(self, images, labels, mean, std):
        self.images, self.labels, self.mean, self.std = images, labels, mean, std

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return normalise(self.images[index], self.mean, self.std), self.labels[index]


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
labels = torch.tensor(digits.target)
mean, std = images.mean().item(), images.std().item()
train_set = Digits(images[:1400].clone(), labels[:1400], mean, std)
test_set = Digits(images[1400:].clone(), labels[1400:], mean, std)
train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
test_loader = DataLoader(test_set, batch_size=397)

net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(256, 64),
    nn.ReLU(),
    nn.Linear(64, 10),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.5)
for epoch in range(12):
    total = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() / len(train_loader)
    with torch.no_grad():
        x, y = next(iter(test_loader))
        out = net(x)
    accuracy = (out.argmax(1) == y).float().mean().item()
    if epoch % 2 == 1:
        print(epoch, f"train {total:.4g} test {criterion(out, y).item():.4g} accuracy {accuracy:.3f}", flush=True)
print(f"RESULT train loss {total:.4g} accuracy {accuracy:.3f}")
