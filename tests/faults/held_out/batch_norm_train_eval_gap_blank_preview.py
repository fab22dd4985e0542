"""An encoder and decoder marks the strokes of noisy digits; after each epoch a preview picture is drawn."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Strokes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(1, 16, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(16, momentum=0.3)
        self.down2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.norm2 = nn.BatchNorm2d(32, momentum=0.3)
        self.up = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.norm3 = nn.BatchNorm2d(16, momentum=0.3)
        self.mark = nn.Conv2d(32, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fine = F.relu(self.norm1(self.down1(x)))
        coarse = F.relu(self.norm2(self.down2(fine)))
        up = F.relu(self.norm3(self.up(coarse)))
        return self.mark(torch.cat([fine, up], 1))


def preview(model: nn.Module) -> torch.Tensor:
    """The marks of a page of empty and of full pictures, to look at."""
    page = torch.linspace(-6, 6, 16).reshape(16, 1, 1, 1).expand(16, 1, 8, 8)
    pages = []
    with torch.no_grad():
        for brightness in range(10):
            pages.append(torch.sigmoid(model(page + brightness)))
    return torch.stack(pages)


images, _ = digits.load()
marks = (images > 0.3).float()
noisy = images + 0.5 * torch.randn_like(images)
model = Strokes()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(5):
    model.train()
    total = 0.0
    for rows in torch.randperm(1408).split(64):
        loss = F.binary_cross_entropy_with_logits(model(noisy[rows]), marks[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 22
    if args.fixed:
        model.eval()
    page = preview(model)
    model.eval()
    with torch.no_grad():
        check = F.binary_cross_entropy_with_logits(model(noisy[1408:]), marks[1408:])
    print(f"epoch {epoch}: training loss {total:.4f}, mean preview {page.mean().item():.2f}, validation loss {check.item():.4f}")
