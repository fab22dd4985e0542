"""Pixel by pixel density of binary digits with a masked autoencoder."""

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
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class MaskedLinear(nn.Linear):
    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)


class Density(nn.Module):
    def __init__(self, pixels: int, width: int) -> None:
        super().__init__()
        order, hidden = torch.arange(pixels), torch.arange(width) % (pixels - 1)
        self.first = MaskedLinear((hidden[:, None] >= order[None]).float())
        self.second = MaskedLinear((hidden[:, None] >= hidden[None]).float())
        self.last = MaskedLinear((order[:, None] > hidden[None]).float())
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.act(self.second(self.act(self.first(x)))))


images, _ = digits.load(standardise=False)
pixels = (images.flatten(1) > 7).float()
model = Density(64, 256).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
warm_up = 20 if args.fixed else 100_000
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warm_up))
for step in range(180):
    x = pixels[torch.randint(len(pixels), (128,))].to(device)
    loss = F.binary_cross_entropy_with_logits(model(x), x, reduction="none").sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 30 == 29:
        print(f"step {step}: {loss.item():.2f} nats, rate {scheduler.get_last_lr()[0]:.2g}")
