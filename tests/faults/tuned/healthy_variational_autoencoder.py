"""A variational autoencoder; its last code dimensions fall silent, which is what its prior asks for."""

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


class VAE(nn.Module):
    def __init__(self, code: int = 16):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(64, 96), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(96, code), nn.Linear(96, code)
        self.decode = nn.Sequential(nn.Linear(code, 96), nn.ReLU(), nn.Linear(96, 64))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.encode(x)
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decode(z), mean, log_variance


images, _ = digits.load(standardise=False)
loader = DataLoader(TensorDataset(images.flatten(1) / 16), batch_size=64, shuffle=True, drop_last=True)
model = VAE().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(6):
    for (x,) in loader:
        x = x.to(device)
        output, mean, log_variance = model(x)
        reconstruction = F.binary_cross_entropy_with_logits(output, x, reduction="sum") / len(x)
        divergence = -0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp()).sum() / len(x)
        loss = reconstruction + divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.3f} divergence {divergence.item():.3f}")
