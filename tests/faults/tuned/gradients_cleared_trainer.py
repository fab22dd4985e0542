"""A convolutional autoencoder of digits in a trainer of its own, which clears gradients where it should only clip them."""

import argparse

import digits
import torch
from torch import nn
from torch.utils.data import DataLoader

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Trainer:
    def __init__(self, model, rate):
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=rate)

    def after_backward(self):
        if not args.fixed:
            self.optimizer.zero_grad(set_to_none=False)
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)

    def fit(self, loader, epochs):
        for epoch in range(epochs):
            losses = []
            for images in loader:
                self.optimizer.zero_grad()
                loss = nn.functional.mse_loss(self.model(images), images)
                loss.backward()
                self.after_backward()
                self.optimizer.step()
                losses.append(loss.item())
            print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f}")


images, _ = digits.load()
model = nn.Sequential(
    nn.Conv2d(1, 8, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Conv2d(8, 4, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.ConvTranspose2d(4, 8, 2, stride=2),
    nn.ReLU(),
    nn.ConvTranspose2d(8, 1, 2, stride=2),
)
Trainer(model, 5e-3).fit(DataLoader(images[:1200], batch_size=50, shuffle=True), 6)
