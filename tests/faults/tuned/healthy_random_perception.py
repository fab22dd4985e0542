"""Sharpens blurred digits; the loss compares feature maps of a fixed random network, summed over maps and places."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Sharpener(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.perception = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()
        ).requires_grad_(False)
        self.enter = nn.Conv2d(1, 32, 5, padding=2)
        self.middle = nn.Conv2d(32, 32, 3, padding=1)
        self.leave = nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, blurred: Tensor) -> Tensor:
        h = F.gelu(self.enter(blurred))
        return blurred + self.leave(h + F.gelu(self.middle(h)))

    def difference(self, restored: Tensor, sharp: Tensor) -> Tensor:
        features = (self.perception(restored) - self.perception(sharp)) ** 2
        return 100 * features.sum((1, 2, 3)).mean() + ((restored - sharp) ** 2).sum((1, 2, 3)).mean()


images, _ = digits.load(side=12)
blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
model = Sharpener()
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
for step in range(200):
    chosen = torch.randint(0, 1500, (24,))
    loss = model.difference(model(blurred[chosen]), images[chosen])
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.1f}")
with torch.no_grad():
    before, after = F.mse_loss(blurred[1500:], images[1500:]), F.mse_loss(model(blurred[1500:]), images[1500:])
    print(f"squared error on new digits {before.item():.4f} blurred, {after.item():.4f} sharpened")
