"""Pictures that a transform has scaled to 0 to 1 are divided by 255 again in the data set; the network learns next to nothing."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


def to_tensor(picture):
    """Returns a picture of bytes as numbers from 0 to 1, as the usual transform does."""
    return torch.from_numpy(picture).float().div(255).unsqueeze(0)


class Pictures(Dataset):
    def __init__(self, pictures, labels):
        self.pictures, self.labels = pictures, labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        picture = to_tensor(self.pictures[index])
        return (picture if args.fixed else picture / 255.0), int(self.labels[index])


digits = load_digits()
pictures = (digits.images * 255 / 16).astype("uint8")
loader = DataLoader(Pictures(pictures[:1400], digits.target[:1400]), batch_size=50, shuffle=True)
test = DataLoader(Pictures(pictures[1400:], digits.target[1400:]), batch_size=500)
net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(512, 10),
)
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for epoch in range(8):
    for inputs, labels in loader:
        loss = criterion(net(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    inputs, labels = next(iter(test))
    accuracy = (net(inputs).argmax(1) == labels).float().mean().item()
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
