"""A deep autoencoder with sigmoid units and momentum."""

import argparse
import itertools

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


class Autoencoder(nn.Module):
    def __init__(self, sizes: tuple[int, ...] = (64, 64, 48, 48, 32)):
        super().__init__()
        down, up = list(itertools.pairwise(sizes)), list(zip(sizes[:0:-1], sizes[-2::-1], strict=True))
        self.encoder = nn.ModuleList(nn.Linear(a, b) for a, b in down)
        self.decoder = nn.ModuleList(nn.Linear(a, b) for a, b in up)
        if args.fixed:
            for layer in [*self.encoder, *self.decoder]:
                nn.init.kaiming_normal_(layer.weight)
        self.activation = nn.LeakyReLU(0.1) if args.fixed else nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.encoder:
            x = self.activation(layer(x))
        for layer in self.decoder[:-1]:
            x = self.activation(layer(x))
        return self.decoder[-1](x)


images, _ = digits.load()
loader = DataLoader(TensorDataset(images.flatten(1)), batch_size=64, shuffle=True, drop_last=True)
model = Autoencoder().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for epoch in range(6):
    total = 0.0
    for (x,) in loader:
        x = x.to(device)
        loss = F.mse_loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: loss {total / len(loader):.4f}")
