"""Cover of every pixel of a small aerial picture: a network of two scales with one shortcut."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

COVERS, SIDE, BATCH, STEPS = 6, 16, 12, 100
colour = 1.6 * torch.linalg.qr(torch.randn(COVERS, COVERS))[0]


def pictures() -> tuple[Tensor, Tensor]:
    """Patches of six covers in six bands."""
    coarse = torch.randint(COVERS, (BATCH, 1, 4, 4)).float()
    cover = F.interpolate(coarse, size=(SIDE, SIDE), mode="nearest").long().squeeze(1)
    bands = colour[cover].permute(0, 3, 1, 2) + 0.9 * torch.randn(BATCH, COVERS, SIDE, SIDE)
    return bands.to(device), cover.to(device)


class TwoScales(nn.Module):
    def __init__(self, width: int = 16):
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(COVERS, width, 3, padding=1), nn.GroupNorm(4, width), nn.ReLU())
        self.coarse = nn.Sequential(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.GroupNorm(4, 2 * width), nn.ReLU())
        self.back = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.cover = nn.Conv2d(2 * width, COVERS, 1)
        self.share = nn.Identity() if args.fixed else nn.Softmax2d()

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x)
        back = F.relu(self.back(self.coarse(fine)))
        return self.share(self.cover(torch.cat([fine, back], 1)))


model = TwoScales().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
criterion = nn.CrossEntropyLoss()
total, right = 0.0, 0.0
for step in range(1, STEPS + 1):
    bands, cover = pictures()
    shares = model(bands)
    loss = criterion(shares, cover)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total, right = total + loss.item() / 20, right + (shares.argmax(1) == cover).float().mean().item() / 20
    if step % 20 == 0:
        print(f"step {step}: loss {total:.4f}, accuracy {right:.3f}")
        total, right = 0.0, 0.0
