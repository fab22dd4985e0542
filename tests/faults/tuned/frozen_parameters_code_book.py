"""An autoencoder with a code book: every patch of a digit is replaced by the nearest of 24 vectors."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class CodeBook(nn.Module):
    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(size, width))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        nearest = torch.cdist(z.detach(), self.vectors.detach()).argmin(-1)
        chosen = self.vectors[nearest]
        loss = F.mse_loss(chosen, z.detach())
        if args.fixed:
            return z + (chosen - z).detach(), loss
        return chosen.detach(), loss


class Autoencoder(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 32, 4, stride=4), nn.ReLU(), nn.Conv2d(32, width, 1)
        )
        self.scale = nn.BatchNorm2d(width, affine=False)
        self.book = CodeBook(24, width)
        self.decoder = nn.Sequential(
            nn.Conv2d(width, 48, 1), nn.ReLU(), nn.ConvTranspose2d(48, 24, 4, stride=4), nn.ReLU(), nn.Conv2d(24, 1, 3, padding=1)
        )

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        z = self.scale(self.encoder(picture)).permute(0, 2, 3, 1)
        code, loss = self.book(z)
        return self.decoder(code.permute(0, 3, 1, 2)), loss


images, _ = digits.load()
model = Autoencoder()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(250):
    picture = images[torch.randint(0, len(images), (64,))]
    restored, book_loss = model(picture)
    error = F.mse_loss(restored, picture)
    loss = error + 0.1 * book_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: squared error {error.item():.4f} code book {book_loss.item():.4f}")
