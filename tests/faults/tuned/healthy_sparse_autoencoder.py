"""A wide autoencoder with a penalty that keeps most units silent most of the time."""

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


class SparseAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(64, 256)
        self.activation = nn.ReLU()
        self.decoder = nn.Linear(256, 64)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.activation(self.encoder(x))
        return self.decoder(code), code


images, _ = digits.load()
loader = DataLoader(TensorDataset(images.flatten(1)), batch_size=64, shuffle=True, drop_last=True)
model = SparseAutoencoder().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(6):
    for (x,) in loader:
        x = x.to(device)
        output, code = model(x)
        loss = F.mse_loss(output, x) + 2e-2 * code.abs().sum(dim=1).mean() / 8
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f} active {(code > 0).float().mean().item():.3f}")
