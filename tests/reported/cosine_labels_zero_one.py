"""Pairs of digits are told same or different by the cosine of their embeddings; the loss falls to nothing, and all pairs are the same."""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 16
numbers = torch.tensor(digits.target)


class Pairs(Dataset):
    """Half of the pairs show the same digit: label 1; the others 0."""

    def __init__(self, first, last):
        self.first, self.last = first, last

    def __len__(self):
        return self.last - self.first

    def __getitem__(self, index):
        one = self.first + index
        same = torch.rand(1).item() < 0.5
        others = ((numbers[self.first : self.last] == numbers[one]) == same).nonzero().squeeze(1)
        two = self.first + others[torch.randint(len(others), (1,))].item()
        return images[one], images[two], torch.tensor(1.0 if same else 0.0)


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 128)
        self.fc2 = nn.Linear(128, 32)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


model = Siamese()
criterion = nn.CosineEmbeddingLoss(margin=0.2)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(12):
    for one, two, label in DataLoader(Pairs(0, 1400), batch_size=50, shuffle=True):
        target = 2 * label - 1 if args.fixed else label
        loss = criterion(model(one), model(two), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 3 == 2:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    one, two, label = next(iter(DataLoader(Pairs(1400, 1797), batch_size=397)))
    cosine = F.cosine_similarity(model(one), model(two))
    right = ((cosine > 0.6) == (label == 1)).float().mean().item()
print(f"RESULT loss {loss.item():.4f} pairs right {right:.3f} cosine of different digits {cosine[label == 0].mean().item():.3f}")
