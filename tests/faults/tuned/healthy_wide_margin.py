"""Puts digits of one class close together and others a hundred apart: hinges with losses in the thousands that mostly rest in the end."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

MARGIN = 100.0


class Placement(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU())
        self.place = nn.Linear(128, 12)

    def forward(self, x: Tensor) -> Tensor:
        return 10 * self.place(self.body(x))


def hinges(place: Tensor, label: Tensor) -> Tensor:
    """Squared distances within a class may be 10, between classes they are to be the margin or more."""
    distance = (place[:, None] - place[None, :]).square().sum(-1)
    same = label[:, None] == label[None, :]
    return torch.where(same, F.relu(distance - 10), 4 * F.relu(MARGIN - distance)).sum() / len(label)


images, labels = digits.load()
model = Placement()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(6):
    for index in torch.randperm(1500).split(60):
        loss = hinges(model(images[index]), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        known, new = model(images[:1500]), model(images[1500:])
    right = (labels[torch.cdist(new, known).argmin(1)] == labels[1500:]).float().mean()
    print(f"epoch {epoch}: loss {loss.item():.1f}, nearest neighbour right {right:.3f}")
