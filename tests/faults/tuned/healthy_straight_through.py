"""A network of units that are -1 or 1 only, trained by the straight-through estimator."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Sign(nn.Module):
    """The sign forwards; backwards the gradient passes where the input lies within (-1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        soft = F.hardtanh(x)
        return soft + (torch.where(x >= 0, 1.0, -1.0) - soft).detach()


def block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.LayerNorm(outputs), Sign())


images, labels = digits.load()
train = TensorDataset(images[:1500].flatten(1), labels[:1500])
held_x, held_y = images[1500:].flatten(1), labels[1500:]
model = nn.Sequential(block(64, 96), block(96, 96), nn.Linear(96, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(8):
    for x, y in DataLoader(train, batch_size=50, shuffle=True):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (model(held_x).argmax(1) == held_y).float().mean().item()
    print(f"epoch {epoch}: loss {loss.item():.4f} accuracy {accuracy:.3f}")
