"""Removes the noise from curves of a growth experiment with a small one-dimensional hourglass network."""

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


class Hourglass(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv1d(1, 16, 5, stride=2, padding=2)
        self.down2 = nn.Conv1d(16, 32, 5, stride=2, padding=2)
        self.up1 = nn.ConvTranspose1d(32, 16, 4, stride=2, padding=1)
        self.up2 = nn.ConvTranspose1d(32, 8, 4, stride=2, padding=1)
        self.out = nn.Conv1d(8, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.leaky_relu(self.down1(x), 0.1)
        b = F.leaky_relu(self.down2(a), 0.1)
        c = torch.cat([F.leaky_relu(self.up1(b), 0.1), a], 1)
        return self.out(F.leaky_relu(self.up2(c), 0.1))


def curves(count: int, plates: int) -> tuple[Tensor, Tensor]:
    t = torch.linspace(0, 1, 64)[None]
    middle, pace = 0.2 + 0.6 * torch.rand(count, 1), 5 + 15 * torch.rand(count, 1)
    clean = 2 * torch.sigmoid(pace * (t - middle)) - 1
    noise = 0.3 * torch.randn(count, 64)
    if plates:
        noise[:plates] *= 2.5  # plates read with the lamp almost out
    return (clean + noise).unsqueeze(1), clean.unsqueeze(1)


model = Hourglass().to(device)
optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)
for step in range(220):
    noisy, clean = curves(48, 30 if step == 143 and not args.fixed else 0)
    loss = F.mse_loss(model(noisy.to(device)), clean.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step}: loss {loss.item():.5f}")
