"""Features learned on the digits 0 to 4 are kept as they are, statistics too; a new head learns the digits 5 to 9 from them."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
            nn.Conv2d(24, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(192, 64), nn.ReLU(), nn.Linear(64, 5))

    def forward(self, picture: Tensor) -> Tensor:
        return self.head(self.features(picture))


def fit(model: Net, images: Tensor, labels: Tensor, steps: int, rate: float) -> None:
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
    for step in range(steps):
        chosen = torch.randint(0, len(images), (48,))
        loss = F.cross_entropy(model(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 19:
            print(f"step {step + 1}: loss {loss.item():.4f}")


images, labels = digits.load()
low = labels < 5
model = Net()
fit(model, images[low], labels[low], steps=80, rate=2e-3)
model.features.requires_grad_(False).eval()
model.head[1].reset_parameters()
model.head[3].reset_parameters()
images, labels = images[~low], labels[~low] - 5
fit(model, images[:700], labels[:700], steps=120, rate=3e-3)
with torch.no_grad():
    print(f"accuracy on new digits {(model(images[700:]).argmax(1) == labels[700:]).float().mean().item():.3f}")
