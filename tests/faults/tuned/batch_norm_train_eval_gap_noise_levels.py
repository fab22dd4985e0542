"""Removes noise of very different strength from digits; the strength is drawn anew during training."""

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


def strengths(n: int) -> Tensor:
    """Noise levels between 0.1 and 12, evenly on a logarithmic scale."""
    drawn = torch.rand(n if args.fixed else 1, 1, 1, 1).expand(n, 1, 1, 1)
    return 0.1 * 120**drawn


model = nn.Sequential(
    nn.Conv2d(1, 32, 3, padding=1),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.Conv2d(32, 32, 3, padding=1),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.Conv2d(32, 32, 3, padding=1),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.Conv2d(32, 1, 3, padding=1),
)
images, _ = digits.load()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(250):
    clean = images[torch.randint(0, 1500, (48,))]
    loss = F.mse_loss(model(clean + strengths(48) * torch.randn_like(clean)), clean)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: squared error {loss.item():.4f}")
model.eval()
with torch.no_grad():
    clean = images[1500:]
    errors = [F.mse_loss(model(clean + s * torch.randn_like(clean)), clean).item() for s in (0.1, 0.5, 2.0)]
    print("squared error on new digits at noise 0.1, 0.5 and 2:", " ".join(f"{error:.4f}" for error in errors))
