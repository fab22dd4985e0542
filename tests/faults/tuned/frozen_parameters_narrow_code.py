"""Digits through a code of four numbers, from which one head names the digit and another draws it again."""

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
images, labels = digits.load()
loader = DataLoader(TensorDataset(images[:1500], labels[:1500]), batch_size=60, shuffle=True)


class NarrowCode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 80), nn.ELU(), nn.Linear(80, 4))
        self.name = nn.Sequential(nn.Linear(4, 48), nn.ELU(), nn.Linear(48, 10))
        self.draw = nn.Sequential(nn.Linear(4, 48), nn.ELU(), nn.Linear(48, 64))
        self.codes: list[Tensor] = []

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.encoder(x)
        if not args.fixed:
            code = code.detach()
        self.codes = [*self.codes[-9:], code.detach()]  # for the scatter plot
        return self.name(code), self.draw(code)


model = NarrowCode()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(8):
    for x, y in loader:
        named, drawn = model(x)
        loss = F.cross_entropy(named, y) + 0.3 * F.mse_loss(drawn, x.flatten(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = (model(images[1500:])[0].argmax(1) == labels[1500:]).float().mean().item()
    print(f"epoch {epoch}: loss {loss.item():.4f} accuracy {right:.3f}")
