"""Wear of a turbine from twenty readings: eight dense layers with batch normalisation."""

import argparse

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

readings = torch.randn(2560, 20)
wear = torch.sin(readings[:, 0] * 1.5) + readings[:, 1] * readings[:, 2] + 0.5 * readings[:, 3]
wear = (wear - wear.mean()) / wear.std()
loader = DataLoader(TensorDataset(readings, wear), batch_size=64, shuffle=True)


def layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU())


@torch.no_grad()
def describe(model: nn.Module, example: Tensor) -> None:
    """Print the shapes of the layers' outputs."""
    model.eval()
    x = example
    for name, part in model.named_children():
        x = part(x)
        print(f"layer {name}, shape: {tuple(x.shape)}")


model = nn.Sequential(layer(20, 64), *[layer(64, 64) for _ in range(7)], nn.Linear(64, 1)).to(device)
describe(model, readings[:2].to(device))
if args.fixed:
    model.train()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
for epoch in range(5):
    total = 0.0
    for x, y in loader:
        loss = F.mse_loss(model(x.to(device)).squeeze(1), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(loader)
    print(f"epoch {epoch}: loss {total:.4f}")
