"""A multilayer perceptron; the activation helper holds the one normalisation that all layers share."""

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


class Net(nn.Module):
    def __init__(self, width: int = 96, depth: int = 4):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64 if i == 0 else width, width) for i in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(depth if args.fixed else 1))
        self.out = nn.Linear(width, 10)
        for i, layer in enumerate(self.layers):
            nn.init.normal_(layer.bias, mean=float(i), std=1.0)

    def forward(self, x: Tensor) -> Tensor:
        h = x.flatten(1)
        for i, layer in enumerate(self.layers):
            h = F.relu(self.norms[i % len(self.norms)](layer(h)))
        return self.out(h)


images, labels = digits.load()
loader = DataLoader(TensorDataset(images[:1500], labels[:1500]), batch_size=50, shuffle=True)
model = Net().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(4):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(images[1500:].to(device)).argmax(1).cpu() == labels[1500:]).float().mean().item()
    print(f"epoch {epoch}: loss {loss.item():.4f} test accuracy {accuracy:.3f}")
