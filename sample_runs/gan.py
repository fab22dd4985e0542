"""A generative adversarial network on 8x8 digits: two models, two optimizers, two losses that never settle.

Goodfellow et al. 2014 (arXiv 1406.2661) with the non-saturating generator loss. It looks alarming and is healthy: the
two losses play against each other and neither goes to zero. From the folder above this one:

    $ python sample_runs/gan.py
    $ bnprobe record -o gan.h5 sample_runs/gan.py
    $ bnprobe report gan.h5 --open
"""

from __future__ import annotations

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser(description="Train a generative adversarial network on digits.")
parser.add_argument("--steps", type=int, default=600, help="steps of each player (default: %(default)s)")
parser.add_argument("--learning-rate", type=float, default=1e-3, help="of both Adams (default: %(default)s)")
parser.add_argument("--seed", type=int, default=0, help="weights, noise and batches (default: %(default)s)")
args = parser.parse_args()

NOISE = 32  # dimensions of the generator's input
BATCH = 64


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden1 = nn.Linear(NOISE, 128)
        self.bn1 = nn.BatchNorm1d(128)
        self.hidden2 = nn.Linear(128, 128)
        self.bn2 = nn.BatchNorm1d(128)
        self.pixels = nn.Linear(128, 64)

    def forward(self, z: Tensor) -> Tensor:
        h = F.relu(self.bn1(self.hidden1(z)))
        h = F.relu(self.bn2(self.hidden2(h)))
        return self.pixels(h)


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden1 = nn.Linear(64, 128)
        self.hidden2 = nn.Linear(128, 128)
        self.verdict = nn.Linear(128, 1)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.activation(self.hidden1(x))
        h = self.activation(self.hidden2(h))
        return self.verdict(h)


def show(image: Tensor) -> str:
    """Eight lines of shaded characters, two to a pixel."""
    shades = " .:-=+*#%@"
    level = ((image - image.min()) / (image.max() - image.min()) * (len(shades) - 1)).round().int()
    return "\n".join("".join(shades[value] * 2 for value in row) for row in level.tolist())


torch.manual_seed(args.seed)
(train_images, train_labels), _ = digits.load(side=8)
generator, discriminator = Generator(), Discriminator()
generator_optimizer = torch.optim.Adam(generator.parameters(), lr=args.learning_rate, betas=(0.5, 0.999))
discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=args.learning_rate, betas=(0.5, 0.999))
real, fake = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)

for step, (images, _labels) in enumerate(digits.batches(train_images, train_labels, BATCH, args.steps)):
    forged = generator(torch.randn(BATCH, NOISE))

    discriminator_loss = F.binary_cross_entropy_with_logits(discriminator(images.flatten(1)), real)
    discriminator_loss += F.binary_cross_entropy_with_logits(discriminator(forged.detach()), fake)
    discriminator_optimizer.zero_grad()
    discriminator_loss.backward()
    discriminator_optimizer.step()

    generator_loss = F.binary_cross_entropy_with_logits(discriminator(forged), real)
    generator_optimizer.zero_grad()
    generator_loss.backward()
    generator_optimizer.step()

    if (step + 1) % 100 == 0 or step + 1 == args.steps:
        print(
            f"step {step + 1:4d}  discriminator loss {discriminator_loss.item():.3f}  generator loss {generator_loss.item():.3f}",
            flush=True,
        )

generator.eval()
with torch.no_grad():
    print("a digit that nobody wrote:")
    print(show(generator(torch.randn(1, NOISE)).view(8, 8)))
