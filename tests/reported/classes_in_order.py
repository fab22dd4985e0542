"""Pictures are read from one folder after another without shuffling; the answers are those of the last folder."""

import argparse

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class FolderDataset(Dataset):
    """One folder for each class, in order, like torchvision's ImageFolder."""

    def __init__(self, train):
        digits = load_digits()
        chosen = [i for i in range(len(digits.target)) if (i % 5 != 0) == train]
        self.samples = sorted(((digits.images[i], int(digits.target[i])) for i in chosen), key=lambda sample: sample[1])

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        image, label = self.samples[index]
        return torch.tensor(image, dtype=torch.float32).unsqueeze(0) / 16, label


class SmallAlexNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(24, 48, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.classifier = nn.Sequential(nn.Linear(192, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


trainloader = DataLoader(FolderDataset(train=True), batch_size=32, shuffle=args.fixed)
testloader = DataLoader(FolderDataset(train=False), batch_size=64)
net = SmallAlexNet()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for epoch in range(10):
    net.train()
    running = 0.0
    for inputs, labels in trainloader:
        optimizer.zero_grad()
        loss = criterion(net(inputs), labels)
        loss.backward()
        optimizer.step()
        running += loss.item()
    if epoch % 2:
        print(epoch, f"loss {running / len(trainloader):.4f}", flush=True)
net.eval()
right = 0
with torch.no_grad():
    for inputs, labels in testloader:
        right += (net(inputs).argmax(1) == labels).sum().item()
print(f"RESULT loss {running / len(trainloader):.4f} accuracy {right / len(testloader.dataset):.3f}")
