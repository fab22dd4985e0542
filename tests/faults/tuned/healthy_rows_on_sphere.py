"""Digits by layers whose rows are put back to length one after every step, with one learnt scale a layer."""

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
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

images, labels = digits.load()
loader = DataLoader(TensorDataset(images.flatten(1), labels), batch_size=48, shuffle=True, drop_last=True)


class Sphere(nn.Module):
    """A dense layer without bias; its rows and its inputs have length one."""

    def __init__(self, inputs: int, outputs: int, scale: float):
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.randn(outputs, inputs), dim=1))
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * F.normalize(x, dim=1) @ self.weight.T

    @torch.no_grad()
    def put_back(self) -> None:
        self.weight.copy_(F.normalize(self.weight, dim=1))


model = nn.Sequential(Sphere(64, 96, 6.0), nn.Tanh(), Sphere(96, 64, 6.0), nn.Tanh(), Sphere(64, 10, 12.0)).to(device)
optimizer = torch.optim.SGD(
    [
        {"params": [layer.weight for layer in model if isinstance(layer, Sphere)], "lr": 0.05, "momentum": 0.8},
        {"params": [layer.scale for layer in model if isinstance(layer, Sphere)], "lr": 0.02},
    ]
)
for epoch in range(6):
    total, right = 0.0, 0.0
    for x, y in loader:
        scores = model(x.to(device))
        loss = F.cross_entropy(scores, y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for layer in model:
            if isinstance(layer, Sphere):
                layer.put_back()
        total += loss.item() / len(loader)
        right += (scores.argmax(1).cpu() == y).float().mean().item() / len(loader)
    print(f"epoch {epoch}: loss {total:.4f}, right {right:.3f}")
