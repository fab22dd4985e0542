"""An autoencoder of heart beats: strided 1-D convolutions down to twelve numbers, and linear layers back."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def beats(n: int, length: int = 64) -> Tensor:
    time = torch.linspace(-1, 1, length)
    wave = torch.zeros(n, length)
    for place, width, height in ((-0.4, 0.12, 0.4), (0.0, 0.05, 2.0), (0.08, 0.06, -0.8), (0.5, 0.16, 0.6)):
        centre = place + 0.08 * torch.randn(n, 1)
        wave += height * (1 + 0.4 * torch.randn(n, 1)) * torch.exp(-(((time - centre) / width) ** 2))
    return ((wave - 0.15) / 0.5 + 0.05 * torch.randn(n, length)).unsqueeze(1)


class BeatCoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, 16, 7, stride=2, padding=3)
        self.conv2 = nn.Conv1d(16, 24, 5, stride=4, padding=2)
        self.squeeze = nn.Linear(24 * 8, 12)
        self.widen = nn.Linear(12, 96)
        self.out = nn.Linear(96, 64)
        if not args.fixed:
            for layer in (self.conv1, self.conv2, self.squeeze, self.widen, self.out):
                nn.init.constant_(layer.weight, 1.0 / layer.weight[0].numel())

    def forward(self, beat: Tensor) -> Tensor:
        h = F.leaky_relu(self.conv2(F.leaky_relu(self.conv1(beat))))
        code = self.squeeze(h.flatten(1))
        return self.out(F.leaky_relu(self.widen(code))).unsqueeze(1)


model = BeatCoder()
for layer in (model.conv1, model.conv2, model.squeeze, model.widen, model.out):
    nn.init.zeros_(layer.bias)
optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
for step in range(250):
    beat = beats(32)
    loss = F.mse_loss(model(beat), beat)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: squared error {loss.item():.4f}")
