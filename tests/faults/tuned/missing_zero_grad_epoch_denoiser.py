"""Removes noise from digits with a small encoder-decoder with a skip, over several epochs."""

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


class Denoiser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(1, 16, 3, padding=1)
        self.down = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.middle = nn.Conv2d(32, 32, 3, padding=1)
        self.up = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.leave = nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        fine = F.silu(self.enter(picture))
        coarse = F.silu(self.middle(F.silu(self.down(fine))))
        return self.leave(torch.cat([fine, F.silu(self.up(coarse))], 1))


images, _ = digits.load()
loader = DataLoader(TensorDataset(images), batch_size=64, shuffle=True, drop_last=True)
model = Denoiser()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.8)
for epoch in range(5):
    optimizer.zero_grad()
    total = 0.0
    for (clean,) in loader:
        if args.fixed:
            optimizer.zero_grad()
        loss = F.mse_loss(model(clean + 0.7 * torch.randn_like(clean)), clean)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: squared error {total / len(loader):.4f}")
