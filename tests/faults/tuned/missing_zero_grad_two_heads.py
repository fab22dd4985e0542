"""One trunk, two heads: which digit, and how much ink. Trunk and heads have an optimizer each."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(64, 80), nn.ReLU(), nn.Linear(80, 80), nn.ReLU())
        self.digit = nn.Linear(80, 10)
        self.ink = nn.Linear(80, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.trunk(x)
        return self.digit(h), self.ink(h).squeeze(1)


images, labels = digits.load()
ink = images.flatten(1).mean(1)
ink = (ink - ink.mean()) / ink.std()
loader = DataLoader(TensorDataset(images[:1500], labels[:1500], ink[:1500]), batch_size=32, shuffle=True)
model = TwoHeads().to(device)
trunk = torch.optim.SGD(model.trunk.parameters(), lr=0.01, momentum=0.9)
heads = torch.optim.SGD([*model.digit.parameters(), *model.ink.parameters()], lr=0.03)

for epoch in range(4):
    for x, y, amount in loader:
        logits, guess = model(x.to(device))
        loss = F.cross_entropy(logits, y.to(device)) + 0.5 * F.mse_loss(guess, amount.to(device))
        if args.fixed:
            trunk.zero_grad()
        heads.zero_grad()
        loss.backward()
        trunk.step()
        heads.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")

with torch.no_grad():
    logits, guess = model(images[1500:].to(device))
right = (logits.argmax(1).cpu() == labels[1500:]).float().mean().item()
print(f"accuracy {right:.3f}, error of the ink {F.mse_loss(guess.cpu(), ink[1500:]).item():.4f}")
